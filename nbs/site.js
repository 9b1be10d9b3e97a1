// What every page of the site does: its chapter in view in the list, the keyboard for what scrolls, tables in any order.
"use strict";

// What scrolls: the sidebar or something within it, never the page.
const bar = document.getElementById("quarto-sidebar"), link = bar?.querySelector(".active");
let box = link;
while (box && box !== bar && box.scrollHeight <= box.clientHeight) box = box.parentElement;
if (box) box.scrollTop += link.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 2;

// What is wider than its place takes the focus, so that arrow keys move it; nothing else does.
const reach = () => document.querySelectorAll("main pre, main table, .katex-display, .cell-output-display").forEach(e =>
  e.scrollWidth > e.clientWidth ? e.tabIndex = 0 : e.removeAttribute("tabindex"));
addEventListener("load", () => new ResizeObserver(reach).observe(document.querySelector("main")));
addEventListener("toggle", reach, true); // of a folded part

// A table of eight rows or more is sorted by the column whose head is pressed, and the other way round the next time.
const words = new Intl.Collator("en", {numeric: true});
const compare = (a, b) => {
  const [x, y] = [parseFloat(a), parseFloat(b)];
  return isNaN(x) || isNaN(y) ? words.compare(a, b) : x - y;
};
for (const table of document.querySelectorAll("main table")) {
  const body = table.tBodies[0], rows = [...body?.rows ?? []], heads = [...table.tHead?.rows[0]?.cells ?? []];
  if (rows.length < 8) continue;
  heads.forEach((head, k) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1, said = row => row.cells[k]?.textContent.trim() ?? "";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      body.append(...rows.sort((a, b) => sign * compare(said(a), said(b))));
    };
  });
}
