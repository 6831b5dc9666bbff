"use strict";
// Views follow the design that is chosen; each is drawn when it comes near the window.
(async function () {
  const said = document.getElementById("said");
  if (!window.DecompressionStream) {
    said.className = "note";
    said.textContent = "Figures need a browser of 2023 or later; the table below does not.";
    return;
  }
  const [payload] = await Promise.all([
    Offramp.unpack("data").then(JSON.parse),
    Offramp.unpack("plotly").then(Offramp.run),
  ]);
  Offramp.darkColours = payload.dark;
  const views = payload.views.map((view) => Object.assign(view, {
    section: document.querySelector('[data-view="' + view.name + '"]'),
    near: false, variant: null, stop: null,
  }));
  const chooser = document.getElementById("choose");
  let chosen = payload.chosen;

  const node = (view) => document.getElementById("plot-" + view.name);
  const variant = (view) => view.variant || (view.section.querySelector("select.switch") || {}).value || Object.keys(view.figures)[0];
  const figureOf = (view) => view.figures[view.linked ? chosen : variant(view)];
  const markOf = (view) => ((view.marks[view.linked ? chosen : variant(view)] || {})[chosen]);
  const sliderOf = (view) => (view.sliders[chosen] || {})[variant(view)];

  function stopOf(view) {
    const slider = sliderOf(view);
    return slider && slider.stops[view.stop === null ? slider.start : view.stop];
  }

  function showSlider(view) {
    const box = view.section.querySelector(".slider");
    if (!box) return;
    const slider = sliderOf(view);
    box.hidden = !slider;
    if (!slider) return;
    const input = box.querySelector("input"), stop = stopOf(view);
    input.max = slider.stops.length - 1;
    input.value = slider.stops.indexOf(stop);
    input.setAttribute("aria-valuetext", stop.text);
    box.querySelector(".at").textContent = stop.text;
  }

  function draw(view) {
    const place = node(view);
    if (!place || !view.near) return;
    const figure = figureOf(view), picture = view.pictures[chosen];
    place.hidden = !figure && !picture;
    view.section.querySelector(".absent").hidden = !place.hidden;
    place.setAttribute("aria-label", view.alts[chosen] ? view.alt + " " + view.alts[chosen] : view.alt);
    showSlider(view);
    if (picture) place.innerHTML = Offramp.coloured(picture[Offramp.narrow.matches ? 1 : 0]); // our own drawing; its words are escaped
    if (figure) {
      Offramp.draw(place, figure, markOf(view), stopOf(view));
      if (!place.dataset.bound) {
        place.dataset.bound = "yes";
        place.on("plotly_click", (event) => {
          const design = event.points.map((p) => p.customdata).find((d) => typeof d === "string");
          if (design) choose(design);
        });
      }
    }
    place.dataset.drawn = chosen || "yes";
  }

  // Draws what follows the choice. `first` at once, the rest when no key has come for a moment: a held key stays quick.
  let waiting = 0;
  function follow(first) {
    const following = views.filter((view) => view.linked || Object.keys(view.marks).length);
    for (const view of following) view.stop = null;
    clearTimeout(waiting);
    if (!first) return following.forEach(draw);
    draw(first);
    waiting = setTimeout(() => following.filter((view) => view !== first).forEach(draw), 120);
  }

  function choose(design, first) {
    if (![...chooser.options].some((option) => option.value === design)) return;
    chosen = design;
    chooser.value = design;
    document.body.dataset.chosen = design;
    said.textContent = payload.spoken[design];
    for (const row of document.querySelectorAll("tbody tr[data-design]")) {
      const here = row.dataset.design === design;
      row.classList.toggle("chosen", here);
      row.querySelector(".pick").setAttribute("aria-pressed", String(here));
    }
    follow(first);
  }

  // The designs that a figure marks, by cost where that is its axis, otherwise in the order of the table.
  function walk(view, key) {
    const marks = view.marks[variant(view)];
    const place = (design) => (typeof marks[design][0] === "number" ? marks[design][0] : 0);
    const order = [...chooser.options].map((option) => option.value).filter((design) => marks[design]);
    const byCost = new Set(order.map(place)).size > 1;
    if (byCost) order.sort((a, b) => place(a) - place(b) || marks[a][1] - marks[b][1]);
    const up = byCost ? 1 : -1; // dearer designs are more accurate; in a list what is above comes before
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: up, ArrowDown: -up, Home: -order.length, End: order.length };
    if (!(key in steps) || !order.length) return null;
    return order[Math.min(Math.max(order.indexOf(chosen) + steps[key], 0), order.length - 1)];
  }

  function step(by) {
    const next = chooser.selectedIndex + by;
    if (next >= 0 && next < chooser.options.length) choose(chooser.options[next].value);
  }

  for (const view of views) {
    const select = view.section.querySelector("select.switch");
    if (select) select.addEventListener("change", () => { view.variant = select.value; view.stop = null; draw(view); });
    const save = view.section.querySelector("button.save");
    if (save) save.addEventListener("click", () => {
      view.near = true;
      draw(view);
      const picture = view.pictures[chosen];
      Offramp.save(view.name, picture && picture[Offramp.narrow.matches ? 1 : 0], figureOf(view), markOf(view), stopOf(view));
    });
    const place = node(view);
    if (place && Object.keys(view.marks).length) place.addEventListener("keydown", (event) => {
      const design = event.ctrlKey || event.altKey || event.metaKey ? null : walk(view, event.key);
      if (design === null) return;
      event.preventDefault(); // the page would scroll
      choose(design, view);
    });
    const input = view.section.querySelector(".slider input");
    if (input) input.addEventListener("input", () => { view.stop = Number(input.value); draw(view); });
  }
  for (const row of document.querySelectorAll("tbody tr[data-design]")) {
    row.addEventListener("click", () => choose(row.dataset.design));
  }
  chooser.addEventListener("change", () => choose(chooser.value));
  document.getElementById("previous").addEventListener("click", () => step(-1));
  document.getElementById("next").addEventListener("click", () => step(1));
  const drawAll = () => views.forEach(draw);
  Offramp.dark.addEventListener("change", drawAll);
  Offramp.narrow.addEventListener("change", drawAll);
  window.addEventListener("beforeprint", () => { views.forEach((view) => { view.near = true; }); drawAll(); });
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const view = views.find((one) => one.section === entry.target);
      if (!entry.isIntersecting || view.near) continue;
      view.near = true;
      draw(view);
    }
  }, { rootMargin: "500px" });
  for (const view of views) watcher.observe(view.section);
  if (chosen) choose(chosen);
  said.textContent = "";
  document.body.dataset.ready = "yes";
})();
