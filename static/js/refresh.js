// [data-refresh="#id"] keeps the part #id fresh: every data-refresh-s seconds it gets the event `refresh`, which its
// hx-trigger asks the server on. Paused (key r), it only counts what has changed and says so.
// The part holds one [data-board] with data-now, data-lede and data-rows-href, and rows with data-alert and data-mark.
const bar = document.querySelector("[data-refresh]");
if (bar) {
  const part = document.querySelector(bar.dataset.refresh);
  const find = (name) => bar.querySelector(`[data-refresh-${name}]`);
  const seconds = Math.max(2, Number(bar.dataset.refreshS) || 15);
  let paused = false;
  let at = null;

  const board = (root) => root.querySelector("[data-board]");
  const marks = (root) => new Map([...root.querySelectorAll("[data-alert]")].map((row) => [row.dataset.alert, row.dataset.mark]));

  function show() {
    find("live").hidden = paused;
    find("pause").hidden = paused;
    find("paused").hidden = !paused;
  }

  function pause() {
    paused = true;
    const now = board(part)?.dataset.now ?? "";
    find("at").dateTime = now;
    find("at").textContent = now.slice(11, 19);
    find("waiting").textContent = "";
    show();
  }

  function resume() {
    paused = false;
    show();
    refresh();
  }

  function refresh() {
    part.dispatchEvent(new CustomEvent("refresh"));
  }

  async function count() {
    const answer = await fetch(board(part)?.dataset.rowsHref ?? location.href, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (!answer?.ok || !paused) return;
    const fresh = marks(new DOMParser().parseFromString(await answer.text(), "text/html"));
    const here = marks(part);
    const changed = [...fresh].filter(([key, mark]) => here.get(key) !== mark).length + [...here.keys()].filter((key) => !fresh.has(key)).length;
    find("waiting").textContent = changed ? `, ${changed} ${changed === 1 ? "change" : "changes"} waiting` : ", nothing new so far";
  }

  find("pause").addEventListener("click", pause);
  find("resume").addEventListener("click", resume);
  setInterval(() => { if (document.visibilityState === "visible") paused ? count() : refresh(); }, seconds * 1000);
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible" && !paused) refresh(); });

  // The row stood on is marked in the page, not by the server: it survives the exchange.
  part.addEventListener("htmx:before:swap", () => { at = part.querySelector("[data-at]")?.id ?? null; });
  document.addEventListener("htmx:after:swap", () => {
    const lede = document.getElementById("alerts-lede");
    if (lede && board(part)?.dataset.lede) lede.textContent = board(part).dataset.lede;
    const row = at && document.getElementById(at);
    if (!row || row.hasAttribute("data-at")) return;
    row.setAttribute("data-at", "");
    row.tabIndex = -1;
    if (document.activeElement === document.body) row.focus({ preventScroll: true });
  });
  show();
}
