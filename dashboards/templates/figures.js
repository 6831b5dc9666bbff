(async function () {
  const [figures] = await Promise.all([
    Offramp.unpack("data").then(JSON.parse),
    Offramp.unpack("plotly").then(Offramp.run),
  ]);
  for (const one of figures) {
    const node = document.getElementById("figure-" + one.name);
    Plotly.newPlot(node, one.figure.data, one.figure.layout, { displaylogo: false, plotlyServerURL: "" });
  }
  document.body.dataset.ready = "yes";
})();
