// [data-editor] holds a <pre> and a textarea that does not wrap: the numbers of its lines beside it, the wrong one marked.
function bind(editor) {
  const numbers = editor.querySelector("pre");
  const area = editor.querySelector("textarea");
  let shown = 0;
  let wrong = Number(area.dataset.wrongLine || 0);

  const draw = () => {
    const count = area.value.split("\n").length;
    if (count === shown) return;
    shown = count;
    numbers.replaceChildren(...Array.from({ length: count }, (_, at) => {
      const number = document.createElement(at + 1 === wrong ? "b" : "span");
      number.textContent = `${at + 1}\n`;
      return number;
    }));
    numbers.scrollTop = area.scrollTop;
  };
  area.addEventListener("input", () => {
    // What is wrong is wrong in the text that was sent; after a change the mark might stand at another line.
    if (wrong) { wrong = 0; shown = 0; }
    draw();
  });
  area.addEventListener("scroll", () => { numbers.scrollTop = area.scrollTop; });
  numbers.hidden = false;
  draw();
  if (wrong) {
    const start = area.value.split("\n").slice(0, wrong - 1).join("\n").length + (wrong > 1 ? 1 : 0);
    const end = area.value.indexOf("\n", start);
    area.focus();
    area.setSelectionRange(start, end < 0 ? area.value.length : end);
    area.scrollTop = Math.max(0, (wrong - 6) * 20);
    numbers.scrollTop = area.scrollTop;
  }
}

for (const editor of document.querySelectorAll("[data-editor]")) bind(editor);
document.getElementById("tried")?.focus();
