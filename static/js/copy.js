// [data-copy]: puts the attribute's text, raw, on the clipboard, and says so on the button for a moment.
// data-copy="" copies the address of the page.
function uncover(within = document) {
  if (!navigator.clipboard) return; // only offered by browsers over HTTPS or on this machine
  for (const button of within.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button || !navigator.clipboard) return;
  event.preventDefault();
  const label = [...button.childNodes].findLast((node) => node.nodeType === Node.TEXT_NODE);
  const before = label?.data;
  try {
    await navigator.clipboard.writeText(button.dataset.copy || location.href);
    if (label) label.data = "Copied";
  } catch {
    if (label) label.data = "Not allowed";
  }
  setTimeout(() => { if (label) label.data = before; }, 1500);
});
document.addEventListener("htmx:after:swap", () => uncover());
uncover();
