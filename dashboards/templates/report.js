"use strict";
(function () {
  const payload = JSON.parse(document.getElementById("data").textContent);
  const views = payload.views;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 560px)");
  const chooser = document.getElementById("choose");
  const shown = {}; // view -> variant the reader picked
  let chosen = payload.chosen;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const copy = (value) => JSON.parse(JSON.stringify(value));

  // The page's colours on a figure's layout: figures carry none of their own but those of their data.
  function themed(layout) {
    const ink = colour("--ink"), grid = colour("--grid"), rule = colour("--rule");
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.font = { color: ink, size: narrow.matches ? 11 : 12.5, family: "system-ui, 'DejaVu Sans', sans-serif" };
    layout.hoverlabel = Object.assign({}, layout.hoverlabel, { bgcolor: colour("--panel"), bordercolor: rule, font: { color: ink } });
    layout.autosize = true;
    layout.dragmode = narrow.matches ? false : "zoom"; // on a phone a finger scrolls the page
    if (narrow.matches) layout.margin = Object.assign({}, layout.margin, { l: 44, r: 6 });
    for (const key of Object.keys(layout)) {
      const axis = layout[key];
      if (!/^[xy]axis\d*$/.test(key)) continue;
      Object.assign(axis, { gridcolor: grid, linecolor: rule, zerolinecolor: rule });
      if (narrow.matches && axis.ticktext && axis.ticktext.length > 24) { // names would overlap
        axis.tickvals = axis.tickvals.filter((_, i) => i % 2 === 0);
        axis.ticktext = axis.ticktext.filter((_, i) => i % 2 === 0);
      }
    }
    for (const shape of layout.shapes || []) shape.line = Object.assign({}, shape.line, { color: ink });
    return layout;
  }

  function draw(view) {
    const node = document.getElementById("plot-" + view.name);
    if (!node) return;
    const keys = Object.keys(view.figures);
    const key = view.linked ? chosen : shown[view.name] || keys[0];
    const figure = view.figures[key];
    if (!figure) return;
    const data = copy(figure.data);
    const mark = (view.marks[key] || {})[chosen];
    if (mark) Object.assign(data[data.length - 1], { x: [mark[0]], y: [mark[1]] });
    Plotly.react(node, data, themed(copy(figure.layout)), {
      responsive: true, displaylogo: false, displayModeBar: false, showTips: false, plotlyServerURL: "",
    });
    if (!node.dataset.bound) {
      node.dataset.bound = "yes";
      node.on("plotly_click", (event) => {
        const design = event.points.map((p) => p.customdata).find((d) => typeof d === "string");
        if (design) choose(design);
      });
    }
  }

  const drawAll = () => views.forEach(draw);

  function choose(design) {
    if (![...chooser.options].some((option) => option.value === design)) return;
    chosen = design;
    chooser.value = design;
    document.body.dataset.chosen = design;
    for (const row of document.querySelectorAll("tbody tr[data-design]")) {
      const here = row.dataset.design === design;
      row.classList.toggle("chosen", here);
      row.setAttribute("aria-selected", String(here));
    }
    for (const view of views) if (view.linked || Object.keys(view.marks).length) draw(view);
  }

  function step(by) {
    const next = chooser.selectedIndex + by;
    if (next >= 0 && next < chooser.options.length) choose(chooser.options[next].value);
  }

  function sortBy(head) {
    const index = head.cellIndex;
    const falling = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const value = (row) => {
      const cell = row.cells[index];
      return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
    };
    const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
    const body = document.querySelector("#table tbody");
    const rows = [...body.rows].sort((a, b) => compare(value(a), value(b)) * (falling ? -1 : 1));
    body.append(...rows);
  }

  for (const select of document.querySelectorAll("select.switch")) {
    const name = select.closest("section").dataset.view;
    select.addEventListener("change", () => {
      shown[name] = select.value;
      draw(views.find((view) => view.name === name));
    });
  }
  for (const head of document.querySelectorAll("thead th")) head.firstChild.addEventListener("click", () => sortBy(head));
  for (const row of document.querySelectorAll("tbody tr[data-design]")) row.addEventListener("click", () => choose(row.dataset.design));
  chooser.addEventListener("change", () => choose(chooser.value));
  document.getElementById("previous").addEventListener("click", () => step(-1));
  document.getElementById("next").addEventListener("click", () => step(1));
  dark.addEventListener("change", drawAll);
  narrow.addEventListener("change", drawAll);
  drawAll();
  if (chosen) choose(chosen);
  document.body.dataset.ready = "yes";
})();
