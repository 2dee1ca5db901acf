// [data-rows] holds [data-row] elements: j and k walk along them, o and Enter open the row's first link.
// [data-row="denial"]: n and p walk along those alone. The row stood on has data-at and the focus.
function rows() {
  return [...document.querySelectorAll("[data-rows] [data-row]")].filter((row) => row.getClientRects().length > 0);
}

function step(kind, by) {
  const all = rows();
  const here = all.findIndex((row) => row.hasAttribute("data-at"));
  const next = kind
    ? (by > 0 ? all.slice(here + 1) : all.slice(0, Math.max(here, 0)).reverse()).find((row) => row.dataset.row.split(" ").includes(kind))
    : all[Math.min(Math.max(here + by, 0), all.length - 1)];
  if (!next) return;
  all[here]?.removeAttribute("data-at");
  next.setAttribute("data-at", "");
  next.tabIndex = -1;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

const acts = {
  j: () => step("", 1),
  k: () => step("", -1),
  n: () => step("denial", 1),
  p: () => step("denial", -1),
  o: (row) => row?.querySelector("a[href]")?.click(),
  Enter: (row) => row?.querySelector("a[href]")?.click(),
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || !(event.key in acts)) return;
  if (event.target.closest("input, textarea, select, [contenteditable], dialog")) return;
  if (event.key === "Enter" && !event.target.matches("[data-row]")) return;
  if (!rows().length) return;
  event.preventDefault();
  acts[event.key](document.querySelector("[data-row][data-at]"));
});
