// <form data-draft="CASE-0042-new">: what is typed in its textarea is kept in this browser until the server has saved it.
// The address tells when it has: ?saved=CASE-0042-new. A text that came back from the server (data-kept) is never replaced.
const PREFIX = "clew-draft:";
const OLDEST_MS = 30 * 24 * 3600 * 1000;

function read(name) {
  try { return JSON.parse(localStorage.getItem(PREFIX + name)); } catch { return null; }
}

function write(name, text) {
  try {
    if (text) localStorage.setItem(PREFIX + name, JSON.stringify({ text, at: Date.now() }));
    else localStorage.removeItem(PREFIX + name);
    return true;
  } catch { return false; }
}

function sweep() {
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(PREFIX) && Date.now() - (read(key.slice(PREFIX.length))?.at ?? 0) > OLDEST_MS) localStorage.removeItem(key);
    }
  } catch { /* a browser that keeps nothing has nothing to sweep */ }
}

function forgetSaved() {
  const here = new URL(location.href);
  const saved = here.searchParams.get("saved");
  if (!saved) return;
  write(saved, "");
  here.searchParams.delete("saved");
  history.replaceState(null, "", here);
}

function clock(at) {
  return new Date(at).toISOString().slice(11, 19);
}

function bind(form) {
  const area = form.querySelector("textarea");
  const state = form.querySelector("[data-draft-state]");
  const most = Number(form.dataset.most);
  const name = form.dataset.draft;
  const original = area.value;

  const tell = (words) => {
    const size = new TextEncoder().encode(area.value).length;
    state.textContent = size > most * 0.9 ? `${size.toLocaleString("en")} of ${most.toLocaleString("en")} bytes` : words;
  };
  const draft = read(name);
  if (draft?.text && draft.text !== original && !area.hasAttribute("data-kept") && !form.previousElementSibling?.matches(".note--preview")) {
    area.value = draft.text;
    tell(`Draft of ${clock(draft.at)} UTC, not saved yet`);
  }
  let timer;
  area.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => tell(write(name, area.value === original ? "" : area.value) ? `Draft kept ${clock(Date.now())} UTC, ${form.dataset.format ?? "Markdown"}` : "This browser keeps no drafts"), 300);
  });
  // Kept once more as it is sent: should the answer never come, the text is still here.
  form.addEventListener("submit", () => { clearTimeout(timer); write(name, area.value); });
}

forgetSaved();
sweep();
for (const form of document.querySelectorAll("form[data-draft]")) bind(form);
