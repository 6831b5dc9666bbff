"use strict";
// Figures in the page's colours, on the screen and saved.
(function () {
  const fonts = "system-ui, 'DejaVu Sans', sans-serif";
  const options = { responsive: true, displaylogo: false, displayModeBar: false, showTips: false, plotlyServerURL: "" };

  // Figures carry no colours of their own but those of their data.
  function themed(layout, look) {
    layout.paper_bgcolor = layout.plot_bgcolor = look.background;
    layout.font = { color: look.ink, size: look.size, family: fonts };
    layout.hoverlabel = Object.assign({}, layout.hoverlabel, {
      bgcolor: look.panel, bordercolor: look.rule, font: { color: look.ink, family: fonts },
    });
    const lines = { gridcolor: look.grid, linecolor: look.rule, zerolinecolor: look.rule };
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(key)) Object.assign(layout[key], lines);
    }
    if (layout.scene) for (const axis of ["xaxis", "yaxis", "zaxis"]) Object.assign(layout.scene[axis], lines);
    for (const shape of layout.shapes || []) shape.line = Object.assign({}, shape.line, { color: look.ink });
    return layout;
  }

  // On a dark page each colour of the palette is exchanged; colours stand between quotes, in JSON as in SVG.
  Offramp.coloured = function (text) {
    if (!Offramp.dark.matches) return text;
    return text.replace(/(?<=")(#[0-9a-f]{6}(?=")|rgba\(\d+,\d+,\d+,)/g, (word) => Offramp.darkColours[word] || word);
  };

  function screenLook() {
    const colour = Offramp.colour;
    return {
      ink: colour("--ink"), grid: colour("--grid"), rule: colour("--rule"), panel: colour("--panel"),
      background: "rgba(0,0,0,0)", size: Offramp.narrow.matches ? 11 : 12.5,
    };
  }

  function forScreen(layout) {
    themed(layout, screenLook());
    layout.autosize = true;
    layout.dragmode = Offramp.narrow.matches ? false : layout.scene ? "orbit" : "zoom"; // on a phone a finger scrolls
    if (Offramp.narrow.matches) {
      layout.margin = Object.assign({}, layout.margin, { r: 8 });
      if (layout.scene) {
        layout.scene.dragmode = false;
        const eye = ((layout.scene.camera || {}).eye) || {};
        for (const axis of Object.keys(eye)) eye[axis] *= 2.1; // the whole of it, titles too
        for (const axis of ["xaxis", "yaxis", "zaxis"]) {
          layout.scene[axis].title = Object.assign({}, layout.scene[axis].title, { font: { size: 10 } });
          layout.scene[axis].tickfont = { size: 9 };
        }
      }
      if (layout.annotations) layout.annotations = layout.annotations.filter((note) => note.name !== "wide only");
      if ((layout.annotations || []).length > 12) for (const note of layout.annotations) note.textangle = -50;
      for (const key of Object.keys(layout)) {
        const axis = layout[key];
        if (!/^[xy]axis\d*$/.test(key)) continue;
        const title = key[0] === "x" && (axis.title || {}).text;
        if (title && title.length > 36) axis.title.text = title.replace(/ (?=[/(])/, "<br>"); // wider than the plot
        if (axis.ticktext && axis.ticktext.length > 8 && !axis.tickangle) axis.tickangle = -50;
        if (axis.ticktext && axis.ticktext.length > 24) { // names would overlap
          axis.tickvals = axis.tickvals.filter((_, i) => i % 2 === 0);
          axis.ticktext = axis.ticktext.filter((_, i) => i % 2 === 0);
        }
      }
    }
    return layout;
  }

  // Moves the mark (the last trace) and the bars of shares to where they belong.
  function placed(data, mark, stop) {
    if (mark) Object.assign(data[data.length - 1], asTrace(mark));
    if (stop) {
      Object.assign(data[data.length - 1], { x: [stop.x], y: [stop.y] });
      data.filter((trace) => trace.meta === "share").forEach((trace, i) => { trace.x = [stop.shares[i]]; });
    }
    return data;
  }

  function asTrace(mark) {
    const list = (value) => (Array.isArray(value) ? value : [value]);
    const trace = { x: list(mark[0]), y: list(mark[1]) };
    if (mark.length > 2) trace.z = list(mark[2]);
    return trace;
  }

  Offramp.draw = function (node, figure, mark, stop) {
    const data = placed(JSON.parse(Offramp.coloured(JSON.stringify(figure.data))), mark, stop);
    return Plotly.react(node, data, forScreen(Offramp.copy(figure.layout)), options);
  };

  function offer(name, url) {
    const link = document.createElement("a");
    link.href = url;
    link.download = name + ".svg";
    link.click();
  }

  // An SVG in black on white, whatever the page looks like.
  Offramp.save = async function (name, picture, figure, mark, stop) {
    if (picture) {
      const text = picture.replaceAll("currentColor", "#000000");
      offer(name, URL.createObjectURL(new Blob([text], { type: "image/svg+xml" })));
      return;
    }
    const look = { ink: "#000000", grid: "#dddddd", rule: "#888888", panel: "#ffffff", background: "#ffffff", size: 12 };
    const layout = themed(Offramp.copy(figure.layout), look);
    const data = placed(Offramp.copy(figure.data), mark, stop);
    const height = figure.layout.height || 380;
    offer(name, await Plotly.toImage({ data, layout }, { format: "svg", width: Math.round(height * 1.6), height }));
  };
})();
