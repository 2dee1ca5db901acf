// The trace page: a click on a row shows its span beside it and marks the row; the address follows, so that it can be copied.
// [data-submit]: choosing in the field sends its form.   [data-jump]: a jump that also opens the row's span.
function chosen(row) {
  for (const other of document.querySelectorAll(".wf__row[data-selected]")) {
    other.removeAttribute("data-selected");
    other.removeAttribute("aria-current");
  }
  row.setAttribute("data-selected", "");
  row.setAttribute("aria-current", "true");
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".wf__op[href]");
  const row = link?.closest(".wf__row");
  if (!row || row.hasAttribute("data-fold") || event.ctrlKey || event.metaKey || event.shiftKey) return;
  chosen(row);
  history.replaceState(history.state, "", link.getAttribute("href").replace(/#.*$/, ""));
});

document.addEventListener("click", (event) => {
  const jump = event.target.closest?.("[data-jump]");
  const row = jump && document.getElementById(new URL(jump.href).hash.slice(1));
  if (!row) return;
  event.preventDefault();
  row.scrollIntoView({ block: "center" });
  row.querySelector(".wf__op")?.click();
  row.querySelector(".wf__op")?.focus({ preventScroll: true });
});

document.addEventListener("change", (event) => event.target.closest?.("[data-submit]")?.form.requestSubmit());
