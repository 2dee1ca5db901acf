// [data-toast] inside #toasts: goes after 8 seconds, unless the pointer or the focus is on it; errors stay until closed.
// A request that never reached the server gets a toast of its own: htmx has nothing to put on the page then.
const box = document.getElementById("toasts");

function tend() {
  for (const toast of box.querySelectorAll("[data-toast]:not([data-tended])")) {
    toast.dataset.tended = "";
    toast.querySelector("[data-dismiss]")?.removeAttribute("hidden");
    if (toast.dataset.tone === "error") continue;
    const leave = () => (toast.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : toast.remove());
    setTimeout(leave, 8000);
  }
}

export function say(words, tone = "") {
  const toast = document.createElement("p");
  toast.className = "toast";
  toast.dataset.toast = "";
  if (tone) toast.dataset.tone = tone;
  const text = document.createElement("span");
  text.textContent = words;
  const close = document.createElement("button");
  close.type = "button";
  close.dataset.dismiss = "";
  close.textContent = "Close";
  toast.append(text, close);
  box.append(toast);
}

if (box) {
  new MutationObserver(tend).observe(box, { childList: true });
  box.addEventListener("click", (event) => event.target.closest("[data-dismiss]")?.closest("[data-toast]")?.remove());
  document.addEventListener("htmx:error", (event) => {
    if (event.detail?.error instanceof TypeError || /timeout/i.test(String(event.detail?.error))) {
      say("The server did not answer. What you see is as it was; what you typed is still here.", "error");
    }
  });
}
