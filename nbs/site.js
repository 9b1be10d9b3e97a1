// What every page of the site does: its chapter in view in the list, the keyboard for what scrolls.
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
