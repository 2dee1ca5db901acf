// [data-key="d"]: pressing d does what clicking the element does; a field is focused instead. Several keys: "a e".
// [data-opens="id"]: opens a <dialog> instead of following the link.
// No key is taken while somebody types, nor with Ctrl, Alt or Meta, except where the key is written so ("Ctrl+k").
function isTyping(target) {
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && !/^(checkbox|radio|button|submit)$/.test(target.type);
}

function visible(element) {
  return !element.hidden && !element.disabled && element.getClientRects().length > 0;
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.altKey || event.metaKey) return;
  const name = event.ctrlKey ? `Ctrl+${event.key.toLowerCase()}` : event.key;
  if (isTyping(event.target) && !event.ctrlKey) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (document.querySelector("dialog[open]:modal")) return;
  const element = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key.split(" ").includes(name) && visible(one));
  if (!element) return;
  event.preventDefault();
  if (isTyping(element)) { element.focus(); element.select?.(); } else element.click();
});

document.addEventListener("click", (event) => {
  const opener = event.target.closest?.("[data-opens]");
  const dialog = opener && document.getElementById(opener.dataset.opens);
  if (!dialog?.showModal) return;
  event.preventDefault();
  dialog.showModal();
});
