// [data-theme-switch]: from the system's theme to the other one and back. Tells charts by the event "clew:theme".
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

function apply(theme) {
  if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
  try {
    if (theme) localStorage.setItem("clew-theme", theme); else localStorage.removeItem("clew-theme");
  } catch { /* not kept: it lasts as long as the page */ }
  label();
  document.dispatchEvent(new CustomEvent("clew:theme"));
}

function label() {
  const words = root.dataset.theme ? `Theme: ${root.dataset.theme} (t)` : "Theme: as the system (t)";
  for (const button of document.querySelectorAll("[data-theme-switch]")) {
    button.hidden = false;
    button.title = words;
  }
}

document.addEventListener("click", (event) => {
  if (!event.target.closest?.("[data-theme-switch]")) return;
  const own = system.matches ? "dark" : "light";
  const other = system.matches ? "light" : "dark";
  apply((root.dataset.theme ?? own) === own ? other : "");
});
system.addEventListener("change", () => document.dispatchEvent(new CustomEvent("clew:theme")));
label();
