"use strict";
// Figures of a comparison: each has variants to choose from.
(async function () {
  if (!window.DecompressionStream) {
    const said = document.getElementById("said");
    said.className = "note";
    said.textContent = "Figures need a browser of 2023 or later; the tables do not.";
    return;
  }
  const [payload] = await Promise.all([
    Offramp.unpack("data").then(JSON.parse),
    Offramp.unpack("plotly").then(Offramp.run),
  ]);
  Offramp.darkColours = payload.dark;
  for (const view of payload.views) {
    const section = document.querySelector('[data-view="' + view.name + '"]');
    const node = document.getElementById("plot-" + view.name);
    if (!node) continue;
    const select = section.querySelector("select.switch");
    const figure = () => view.figures[select ? select.value : Object.keys(view.figures)[0]];
    const draw = () => Offramp.draw(node, figure());
    if (select) select.addEventListener("change", draw);
    section.querySelector("button.save").addEventListener("click", () => Offramp.save(view.name, null, figure()));
    Offramp.dark.addEventListener("change", draw);
    Offramp.narrow.addEventListener("change", draw);
    draw();
  }
  document.body.dataset.ready = "yes";
})();
