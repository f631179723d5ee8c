"use strict";
// Draws the figures of the page in the colours of its style, again whenever those change.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const page = document.documentElement;
  const config = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };

  // A figure with the names of colours (--sensitive) replaced by what they stand for now.
  function styled(value, style) {
    if (typeof value === "string") {
      return value.startsWith("--") ? style.getPropertyValue(value).trim() : value;
    }
    if (Array.isArray(value)) {
      return value.map((each) => styled(each, style));
    }
    if (value && typeof value === "object") {
      return Object.fromEntries(
        Object.entries(value).map(([key, each]) => [key, styled(each, style)]),
      );
    }
    return value;
  }

  function draw(name, width) {
    const figure = figures[name];
    const element = document.getElementById(name);
    const style = getComputedStyle(page);
    const layout = styled(figure.layout, style);
    layout.font.family = getComputedStyle(document.body).fontFamily;
    layout.width = width;
    layout.autosize = width === undefined;
    return Plotly.react(element, styled(figure.data, style), layout, config);
  }

  function drawAll(width) {
    Object.keys(figures).forEach((name) => draw(name, width));
  }

  for (const choice of document.querySelectorAll("input[name=size]")) {
    choice.addEventListener("change", () => {
      figures.tree.data[0].values = figures.tree.sizes[choice.value];
      draw("tree");
    });
  }

  // On paper: dark on light, as wide as the sheet, nothing folded away but what is very long.
  const PAPER_PX = 640;
  const LONGEST = 40;
  let opened = [];
  window.addEventListener("beforeprint", () => {
    page.classList.add("paper");
    opened = [...document.querySelectorAll("details:not([open])")].filter(
      (each) => each.querySelectorAll("tr, li").length <= LONGEST,
    );
    opened.forEach((each) => (each.open = true));
    drawAll(PAPER_PX);
  });
  window.addEventListener("afterprint", () => {
    page.classList.remove("paper");
    opened.forEach((each) => (each.open = false));
    drawAll();
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());
  // One after the other, so that the page can be read and scrolled meanwhile.
  Object.keys(figures).forEach((name) => setTimeout(() => draw(name)));
})();
