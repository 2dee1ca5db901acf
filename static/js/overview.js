// [data-every-s="60"] refreshes every [data-live] part of the page so often, by the event `refresh` that its hx-trigger waits
// for; 0 leaves it alone. A hidden tab asks nothing, and catches up when it is looked at again.
// A panel asks at most once at a time (hx-sync), and its inside is morphed: what is open, focused or scrolled to stays so.
const seconds = Number(document.querySelector("[data-every-s]")?.dataset.everyS ?? 0);
let last = Date.now();

function refresh() {
  last = Date.now();
  for (const part of document.querySelectorAll("[data-live]")) part.dispatchEvent(new CustomEvent("refresh"));
}

function due() {
  if (document.visibilityState === "visible" && Date.now() - last >= seconds * 1000 - 50) refresh();
}

if (seconds > 0) {
  setInterval(due, 1000);
  document.addEventListener("visibilitychange", due);
}

// What has come needs no room kept for it. What is open stays open: the server does not know of it.
const open = new Set();
document.addEventListener("toggle", (event) => {
  const name = event.target.dataset?.keep;
  if (name) event.target.open ? open.add(name) : open.delete(name);
}, true);
document.addEventListener("htmx:after:swap", () => {
  for (const part of document.querySelectorAll("[data-live][data-room]:not(:has(.skeleton))")) {
    part.removeAttribute("data-room");
    part.removeAttribute("aria-busy");
  }
  for (const one of document.querySelectorAll("details[data-keep]")) if (open.has(one.dataset.keep)) one.open = true;
});
