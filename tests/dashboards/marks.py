"""The contrast of what figures draw with the page behind it, as a browser has drawn it."""

from __future__ import annotations

from typing import Any

_MARKS = """() => {
  const channels = (colour) => {
    if (!colour || colour === "none" || colour === "transparent") return [0, 0, 0, 0];
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.fillStyle = colour;
    const plain = canvas.fillStyle;
    if (plain.startsWith("#")) return [1, 3, 5].map((i) => parseInt(plain.slice(i, i + 2), 16)).concat(1);
    return plain.match(/[\\d.]+/g).map(Number);
  };
  const luminance = (rgb) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const parts = rgb.slice(0, 3).map((c) => linear(c / 255));
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = channels(getComputedStyle(node).backgroundColor);
      if (colour[3] > 0.99) return colour;
    }
    return [255, 255, 255, 1];
  };
  const contrast = (colour, opacity, ground) => {
    const alpha = colour[3] * opacity;
    const seen = [0, 1, 2].map((i) => alpha * colour[i] + (1 - alpha) * ground[i]);
    const pair = [luminance(seen), luminance(ground)].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  };
  // What a pattern has behind its hatching.
  const painted = (fill) => {
    const found = /url\\("?#([^")]+)"?\\)/.exec(fill);
    if (!found) return fill;
    const area = document.getElementById(found[1]).querySelector("rect");
    return area ? getComputedStyle(area).fill : "transparent";
  };
  const opacityOf = (node, root) => {
    let all = 1;
    for (; node && node !== root; node = node.parentElement) all *= Number(getComputedStyle(node).opacity);
    return all;
  };
  const kinds = ".scatterlayer .points path, .scatterlayer .lines path, .errorbar path, .barlayer .point path, " +
    ".shapelayer path, .legendpoints path, .legendlines path";
  const found = [];
  for (const plot of document.querySelectorAll(".js-plotly-plot")) {
    const own = plot._fullLayout.paper_bgcolor, ground = channels(own)[3] > 0.99 ? channels(own) : behind(plot);
    const name = plot.id || plot.parentElement.id;
    for (const mark of plot.querySelectorAll(kinds)) {
      const style = getComputedStyle(mark), opacity = opacityOf(mark, plot);
      const fill = contrast(channels(painted(style.fill)), opacity * Number(style.fillOpacity), ground);
      const wide = style.stroke !== "none" && parseFloat(style.strokeWidth) > 0;
      const line = wide ? contrast(channels(style.stroke), opacity * Number(style.strokeOpacity), ground) : 1;
      const of = mark.closest(".points, .lines, .errorbar, .barlayer, .shapelayer, .legend").getAttribute("class");
      found.push([Math.max(fill, line), name + " " + of + " " + style.fill + " " + style.stroke]);
    }
    for (const trace of plot._fullData) { // these are pictures in the page, not elements
      const colours = trace.type === "heatmap" ? trace.colorscale.map((stop) => stop[1])
        : trace.type === "scatter3d" ? [].concat(trace.marker.color) : [];
      const opacity = (trace.opacity ?? 1) * ((trace.marker || {}).opacity ?? 1);
      for (const colour of colours) found.push([contrast(channels(colour), opacity, ground), name + " " + colour]);
    }
  }
  for (const drawing of document.querySelectorAll("svg[role=img]")) {
    const ground = behind(drawing.parentElement);
    for (const mark of drawing.querySelectorAll("rect, line, path")) {
      const style = getComputedStyle(mark), colour = mark.tagName === "line" ? style.stroke : style.fill;
      found.push([contrast(channels(colour), 1, ground), "drawing " + colour]);
    }
  }
  return found;
}"""


def mark_contrasts(page: Any) -> list[tuple[float, str]]:
    """Of every point, line, bar, cell and arrow of the figures that a page has drawn, with what it is.

    The larger one of fill and outline counts: either shows where a mark is. Areas behind lines are left out; their
    edges are lines.
    """
    return [(float(ratio), str(where)) for ratio, where in page.evaluate(_MARKS)]
