// [data-figure]: a Plotly figure as plain data, drawn when the page is ready and again when the theme changes.
// Colours in it are names of CSS variables, "$ink" or "$ink/6" (percent opaque), and read from the page when drawn.
// A point with customdata that begins with "/" is a link of ours; nothing else in the data is ever followed.
const FONT = { size: 11, color: "$ink-3" };
const CONFIG = { displaylogo: false, responsive: true, displayModeBar: "hover", modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]] };

const drawn = new WeakMap(); // element -> the figure it shows

// A variable may hold light-dark(...), which only a real property resolves.
const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

function colour(name) {
  const [variable, percent] = name.slice(1).split("/");
  probe.style.color = `var(--${variable})`;
  const rgb = getComputedStyle(probe).color;
  return percent ? rgb.replace(/^rgba?\(([^)]*?)(,[^,)]*)?\)$/, (all, first, last) => `rgba(${first.split(",").length === 3 ? first : first + last}, ${percent / 100})`) : rgb;
}

function coloured(value) {
  if (typeof value === "string") return /^\$[a-z][a-z0-9-]*(\/\d+)?$/.test(value) ? colour(value) : value;
  if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map(coloured);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, coloured(one)]));
  return value;
}

function draw(element) {
  const figure = JSON.parse(element.dataset.figure);
  const sans = getComputedStyle(document.body).fontFamily;
  const layout = coloured({ ...figure.layout, height: Number(element.dataset.height), font: { ...FONT, family: sans } });
  // The room for a picture stands there when it was never drawn, and when its part of the page was exchanged with another.
  const room = element.querySelector(".plot__room");
  drawn.set(element, element.dataset.figure);
  if (!room) {
    Plotly.react(element, coloured(figure.data), layout, CONFIG);
    return;
  }
  room.remove();
  Plotly.newPlot(element, coloured(figure.data), layout, CONFIG);
  const target = (event) => event.points.map((point) => point.customdata).find((one) => typeof one === "string" && /^\/(?!\/)/.test(one));
  element.on("plotly_hover", (event) => element.toggleAttribute("data-leads", Boolean(target(event))));
  element.on("plotly_unhover", () => element.removeAttribute("data-leads"));
  element.on("plotly_click", (event) => {
    const where = target(event);
    if (where) location.assign(where);
  });
}

const all = () => document.querySelectorAll("[data-figure]").forEach(draw);
document.addEventListener("clew:theme", all);
document.addEventListener("htmx:after:swap", () => { // charts that came after the page, or with other values
  for (const element of document.querySelectorAll("[data-figure]")) {
    if (drawn.get(element) !== element.dataset.figure || element.querySelector(".plot__room")) draw(element);
  }
});
addEventListener("beforeprint", all);
all();
