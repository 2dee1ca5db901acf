// Sets the chosen theme before anything is painted; without a choice the system's own is used.
// Loaded in <head>, not as a module: a module would run after the first paint.
(() => {
  try {
    const chosen = localStorage.getItem("clew-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch { /* storage is switched off: the system's theme it is */ }
})();
