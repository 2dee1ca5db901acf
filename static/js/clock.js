// [data-clock]: shows every <time data-style> in UTC, as the server wrote it, or in the reader's own zone.
// The attribute datetime keeps the moment; digits of a second beyond what Date can hold are taken from the text.
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const pad = (n) => String(n).padStart(2, "0");

function isLocal() {
  try { return localStorage.getItem("clew-clock") === "local"; } catch { return false; }
}

function zone(at) {
  const minutes = -at.getTimezoneOffset();
  return `UTC${minutes < 0 ? "−" : "+"}${pad(Math.floor(Math.abs(minutes) / 60))}:${pad(Math.abs(minutes) % 60)}`;
}

function local(element) {
  const at = new Date(element.dateTime.replace(/(\.\d{3})\d*/, "$1"));
  if (Number.isNaN(at.getTime())) return element.dataset.utc;
  const fraction = element.dataset.utc.match(/:\d\d(\.\d+)/)?.[1] ?? "";
  const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}${fraction}`;
  if (element.dataset.style === "clock") return clock;
  if (element.dataset.style === "moment") return `${at.getDate()} ${MONTHS[at.getMonth()]}, ${clock}`;
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${clock} ${zone(at)}`;
}

function show(within = document) {
  const here = isLocal();
  for (const element of within.querySelectorAll("time[data-style]")) {
    element.dataset.utc ??= element.textContent;
    element.textContent = here ? local(element) : element.dataset.utc;
  }
  for (const button of document.querySelectorAll("[data-clock]")) {
    button.hidden = false;
    button.textContent = here ? "Local" : "UTC";
    button.title = here ? "Times are shown in your local time. Switch to UTC" : "Times are shown in UTC. Switch to local time";
  }
  for (const words of document.querySelectorAll("[data-clock-words]")) {
    words.textContent = here ? `All times local, ${zone(new Date())}; exports and charts UTC` : "All times UTC";
  }
}

document.addEventListener("click", (event) => {
  if (!event.target.closest?.("[data-clock]")) return;
  try { localStorage.setItem("clew-clock", isLocal() ? "utc" : "local"); } catch { return; }
  show();
});
document.addEventListener("htmx:after:swap", () => show());
show();
