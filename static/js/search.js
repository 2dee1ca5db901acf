// The time of a search is a choice or two instants, never both: filling in one empties the other.
// [data-window] on the form; its fields are named last, start and end.
document.addEventListener("input", (event) => {
  const form = event.target.closest?.("form[data-window]");
  if (!form) return;
  const { last, start, end } = form.elements;
  if (event.target === last && last.value) start.value = end.value = "";
  if ((event.target === start || event.target === end) && event.target.value) last.value = "";
});
