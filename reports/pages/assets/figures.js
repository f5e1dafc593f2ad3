"use strict";
// Draws the figures of a page by Vega-Embed. `look`, `light` and `layouts` are set where this file is written:
// the configuration of all charts, the light form of every colour of theirs, and the charts without their data.
addEventListener("load", () => {
  const GAP = 22, AXIS = 48, MOST = 5, WIDEST = 460;
  const { look, light, layouts } = window.attnbenchFigures;
  const shown = new Map();

  // Columns, texts by their codes, to the rows that Vega takes.
  const rowsOf = (columns) => {
    const names = Object.keys(columns);
    const values = names.map((name) => {
      const own = columns[name];
      return Array.isArray(own) ? own : own.codes.map((code) => own.labels[code]);
    });
    return (values[0] ?? []).map((_, row) => Object.fromEntries(names.map((name, at) => [name, values[at][row]])));
  };

  // The specification at the width that there is: as many panels in a row as have room.
  const fitted = (given, least, room) => {
    const spec = structuredClone(given);
    if (!least) return { ...spec, width: Math.min(room, 640), autosize: { type: "fit-x", contains: "padding" } };
    const panels = spec.concat?.length ?? spec.facet.sort.length;
    const axes = spec.concat ? AXIS + 16 : 0;  // with names that stand out
    const fit = Math.max(1, Math.min(MOST, panels, Math.floor((room - AXIS + GAP + axes) / (least + GAP + axes))));
    spec.columns = Math.ceil(panels / Math.ceil(panels / fit));
    const width = Math.min(WIDEST, Math.floor((room - AXIS - (spec.columns - 1) * (GAP + axes)) / spec.columns) - 4 - axes / 3);
    for (const one of spec.concat ?? [spec.spec]) one.width = width;
    return spec;
  };

  // In light colours, whatever the page has: what is saved is for paper.
  const onPaper = (spec) => JSON.parse(JSON.stringify(spec).replace(/var\(--([a-z0-9-]+)\)/g, (_, role) => light[role]));

  const options = { mode: "vega-lite", ast: true, renderer: "svg", tooltip: { disableDefaultStyle: true } };
  const actions = { export: { svg: true, png: true }, source: false, compiled: false, editor: false };

  const save = async (one, type) => {
    const box = document.createElement("div");
    const made = await vegaEmbed(box, onPaper(one.spec), { ...options, actions: false, config: onPaper(look) });
    await made.view.signal("hidden", [...one.hidden]).runAsync();
    const link = document.createElement("a");
    link.href = await made.view.toImageURL(type, type === "png" ? 2 : 1);
    link.download = `${one.name}.${type}`;
    link.click();
    made.finalize();
  };

  const draw = async (one) => {
    const room = one.plot.clientWidth;
    if (!room || Math.abs(room - one.room) < 4) return;
    one.room = room;
    one.made?.finalize();
    one.spec = { ...fitted(one.given, one.least, room), datasets: { ...one.given.datasets, ...one.data } };
    const box = document.createElement("div");
    one.plot.replaceChildren(box);
    one.made = await vegaEmbed(box, one.spec, {
      ...options, actions, downloadFileName: one.name, config: { ...look, legend: { ...look.legend, disable: true } } });
    box.querySelector("summary").setAttribute("aria-label", "Save this figure");
    box.querySelector("svg.marks").setAttribute("aria-hidden", "true");  // described as a whole, by `box`
    if (one.hidden.size) await one.made.view.signal("hidden", [...one.hidden]).runAsync();
  };

  const legend = (one) => {
    for (const button of one.figure.querySelectorAll(".legend button")) {
      button.disabled = false;
      button.addEventListener("click", () => {
        const name = button.dataset.series, hide = !one.hidden.has(name);
        if (hide) one.hidden.add(name); else one.hidden.delete(name);
        button.setAttribute("aria-pressed", String(!hide));
        one.made?.view.signal("hidden", [...one.hidden]).runAsync();
      });
    }
  };

  // The library's menu saves what the page shows; this saves it in light colours, by key as well.
  const menu = (one) => {
    const type = (event) => event.target.closest?.(".vega-actions a")?.download.split(".").pop();
    one.plot.addEventListener("mousedown", (event) => { if (type(event)) event.stopPropagation(); }, true);
    one.plot.addEventListener("click", (event) => {
      if (!type(event)) return;
      event.preventDefault();
      event.stopPropagation();
      save(one, type(event));
    }, true);
  };

  const table = (one) => {
    const details = one.figure.querySelector("details.values");
    details.hidden = false;
    details.addEventListener("toggle", () => {
      if (details.querySelector("table")) return;
      const made = document.createElement("table"), { rows } = one.data, names = Object.keys(rows[0] ?? {});
      const line = (parent, cells, tag) => {
        const row = parent.insertRow();
        for (const text of cells) {
          const cell = row.appendChild(document.createElement(tag));
          cell.textContent = text ?? "";
          if (tag === "th") cell.scope = "col";
        }
      };
      line(made.createTHead(), names, "th");
      const body = made.createTBody();
      for (const row of rows) line(body, names.map((name) => row[name]), "td");
      made.className = "compact";
      details.querySelector(".scroll").append(made);
    });
  };

  const start = async () => {
    for (const figure of document.querySelectorAll("figure.chart")) {
      const { name, layout, least } = figure.dataset, plot = figure.querySelector(".plot");
      const description = plot.querySelector("p").textContent, rows = JSON.parse(figure.querySelector("script.rows").textContent);
      const one = {
        figure, plot, name, least: Number(least), given: { ...layouts[layout], description }, data: {}, hidden: new Set(), room: 0 };
      for (const [name, columns] of Object.entries(rows)) one.data[name] = rowsOf(columns);
      shown.set(figure, one);
      legend(one);
      menu(one);
      table(one);
    }
    for (const one of shown.values()) {
      await draw(one);
      await new Promise((done) => setTimeout(done));  // the page answers in between
    }
    document.documentElement.dataset.drawn = "";
    let waiting;
    new ResizeObserver(() => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { for (const one of shown.values()) draw(one); }, 150);
    }).observe(document.querySelector("main"));
  };
  start();
});
