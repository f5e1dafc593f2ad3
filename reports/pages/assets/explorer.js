"use strict";
// The attention explorer. The page has the controls and the names of all examples; the file of an
// example, `attentionData[name]={...}` (reports/attention_maps/compact.py), is loaded when the
// example is chosen. What is shown is a `state`, which the address holds after its #.
window.attentionData = {};

(() => {
  const SHORT = 16; // characters of a unit that a matrix shows
  const READABLE = 40; // source units from which on a text is easier to read than a matrix
  const TOLD = 12; // largest weights of each mechanism in the table
  const FULL = 0.25; // weights from here on are drawn in full, so that even ones stay pale
  const VEIL = 0.82; // how dark a photo gets where nothing is looked at
  const DOING = { free: "decoding freely", forced: "reading the reference" };
  const GIVEN = { forced: "reading what is given" }; // where nothing is written
  const FONT = "11px system-ui, sans-serif";

  // ---- Data -------------------------------------------------------------------------------------

  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));

  /** The bytes of a block that zlib compressed. */
  const inflate = async (text) => {
    const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  /** Rows of weights, T of S numbers, from the 8-bit codes of a block. */
  const unpack = (block, { at, step, signed }, T, S) => {
    const codes = block.subarray(at, at + T * S);
    const values = signed ? Int8Array.from(codes) : codes;
    return Array.from({ length: T }, (_, t) =>
      Array.from(values.subarray(t * S, (t + 1) * S), (code) => code * step));
  };

  /** The map that a panel shows of an example; undefined where none is kept. */
  const find = (data, panel) => {
    const found = data.maps.find(
      (one) => one.mechanism === panel.mechanism && one.mode === panel.mode);
    if (!found) return undefined;
    const source = data.sources[found.source], output = data.outputs[found.output];
    const packed = found.parts[panel.part] ?? found.weights;
    const weights = unpack(data.bytes, packed, output.target.length, source.units.length);
    return { ...found, ...output, ...source, from: found.source, rows: weights, data };
  };

  /** The row of another map that stands for a word: at the same place, or the nearest equal one. */
  const twin = (map, unit, word) => {
    const places = map.target.flatMap((one, t) => (one === word ? [t] : []));
    return places.sort((a, b) => Math.abs(a - unit) - Math.abs(b - unit))[0] ?? -1;
  };

  /** The samples of a sound (8-bit mu-law) as a WAV file of 16 bits. */
  const wav = ({ rate, samples }) => {
    const codes = bytes(samples);
    const view = new DataView(new ArrayBuffer(44 + 2 * codes.length));
    const ascii = (at, text) => [...text].forEach((one, i) => view.setUint8(at + i, one.charCodeAt(0)));
    ascii(0, "RIFF");
    view.setUint32(4, 36 + 2 * codes.length, true);
    ascii(8, "WAVEfmt ");
    view.setUint32(16, 16, true); // bytes of this part
    view.setUint16(20, 1, true); // plain numbers
    view.setUint16(22, 1, true); // one channel
    view.setUint32(24, rate, true);
    view.setUint32(28, 2 * rate, true);
    view.setUint16(32, 2, true);
    view.setUint16(34, 16, true);
    ascii(36, "data");
    view.setUint32(40, 2 * codes.length, true);
    codes.forEach((code, i) => {
      const level = code / 127.5 - 1;
      const sample = (Math.sign(level) * (256 ** Math.abs(level) - 1)) / 255;
      view.setInt16(44 + 2 * i, Math.round(32767 * sample), true);
    });
    return new Blob([view.buffer], { type: "audio/wav" });
  };

  // ---- Words about a map --------------------------------------------------------------------------

  const percent = (share) => `${Math.round(100 * share)} %`;
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

  /** The name of a source position: a word, a time, or a place in a grid. */
  const place = (map, s) => map.kind !== "grid" ? map.units[s]
    : `row ${Math.floor(s / map.grid[1]) + 1}, column ${(s % map.grid[1]) + 1}`;

  /** A row in words, for the read-out and for screen readers. */
  const describe = (map, t) => {
    const weights = map.rows[t];
    const gold = map.gold?.[t] ?? [];
    const order = weights.map((_, s) => s).sort((a, b) => Math.abs(weights[b]) - Math.abs(weights[a]));
    const told = order.slice(0, 3).filter((s) => Math.abs(weights[s]) >= 0.005)
      .map((s) => `${place(map, s)} ${weights[s].toFixed(2)}`);
    const on = gold.length ? `; ${percent(sum(gold.map((s) => weights[s])))} of its weight on gold` : "";
    const masses = (map.segments ?? []).map(([a, b]) => sum(weights.slice(a, b)));
    const most = masses.indexOf(Math.max(...masses));
    const segment = masses.length ? `; sentence ${most + 1} has ${percent(masses[most])}` : "";
    return `${map.target[t]}: ${told.join("; ")}${on}${segment}`;
  };

  // ---- Drawing: every drawer returns {node, show(t), at(seconds)} -----------------------------------

  const svg = (name, attributes = {}, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const html = (name, attributes = {}, ...children) => {
    const made = Object.assign(document.createElement(name), attributes);
    made.append(...children);
    return made;
  };
  const canvas = (width, height, opacity) => {
    const made = Object.assign(document.createElement("canvas"), { width, height });
    const image = new ImageData(width, height);
    opacity.forEach((level, i) => { image.data[4 * i + 3] = level; });
    made.getContext("2d").putImageData(image, 0, 0);
    return made.toDataURL();
  };
  const pen = document.createElement("canvas").getContext("2d");
  const extent = (text) => { pen.font = FONT; return pen.measureText(text).width; };
  const shortened = (text, most = SHORT) => {
    const letters = [...text];
    return letters.length <= most ? text : `${letters.slice(0, most - 1).join("")}…`;
  };
  const widest = (texts) => Math.max(0, ...texts.map((one) => extent(shortened(one))));
  const picture = (width, height, label, ...children) =>
    svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...children);

  /** The weight that is drawn in full: the largest of maps that are compared, unless all are small. */
  const fullest = (maps) => Math.max(FULL, ...maps.flatMap((map) => map.rows.flat().map(Math.abs)));

  /** The rectangle of one weight; negative ones have a colour of their own. */
  const cell = (map, t, s, x, y, width, height) => {
    const weight = map.rows[t][s];
    const shade = Math.abs(weight) / map.full;
    if (shade < 0.01) return [];
    return [svg("rect", {
      x, y, width, height, class: weight < 0 ? "heat negative" : "heat", "fill-opacity": shade.toFixed(3),
    })];
  };

  /** Rows that light up one at a time. */
  const lighting = (node, rows) => (t) => {
    node.classList.toggle("reading", t >= 0);
    rows.forEach((row, place) => row.classList.toggle("active", place === t));
  };

  /** Words: source units from left to right, a row for each target unit. */
  const matrix = (map, label) => {
    const [T, S] = [map.target.length, map.units.length];
    const [wide, high] = [S > 60 ? 13 : 18, T > 60 ? 13 : 18];
    const left = widest(map.target) + 10;
    const turn = (52 * Math.PI) / 180; // that source units are tilted by
    const top = widest(map.units) * Math.sin(turn) + 16;
    const right = left + S * wide;
    const bottom = top + T * high;
    const names = map.units.map((unit, s) => {
      const [x, y] = [left + (s + 0.5) * wide + 3, top - 5];
      return svg("text", { x, y, class: "unit", transform: `rotate(-52 ${x} ${y})` }, shortened(unit));
    });
    const rows = map.target.map((unit, t) => {
      const y = top + t * high;
      return svg("g", { class: "row", "data-t": t },
        svg("rect", { x: 0, y, width: right, height: high, class: "catch" }),
        svg("text", { x: left - 6, y: y + high / 2 + 4, class: "unit", "text-anchor": "end" }, shortened(unit)),
        ...map.units.flatMap((_, s) => cell(map, t, s, left + s * wide, y, wide, high)),
        ...(map.gold?.[t] ?? []).map((s) => svg("rect", {
          x: left + s * wide + 1.5, y: y + 1.5, width: wide - 3, height: high - 3, class: "gold",
        })));
    });
    const lines = [
      ...Array.from({ length: S + 1 }, (_, s) => `M${left + s * wide} ${top}V${bottom}`),
      ...Array.from({ length: T + 1 }, (_, t) => `M${left} ${top + t * high}H${right}`),
    ].join("");
    const borders = (map.segments ?? []).slice(1).map(([s]) => `M${left + s * wide} ${top - 4}V${bottom + 4}`);
    const over = Math.max(0, ...map.units.map(
      (unit, s) => left + (s + 0.5) * wide + extent(shortened(unit)) * Math.cos(turn) + 8));
    const node = picture(Math.ceil(Math.max(right + 2, over)), Math.ceil(bottom + 6), label,
      svg("rect", { x: left, y: top, width: right - left, height: bottom - top, class: "surface" }),
      svg("path", { d: lines, class: "rule" }), ...names, ...rows,
      svg("path", { d: borders.join(""), class: "border" }));
    const light = lighting(node, rows);
    const show = (t) => {
      light(t);
      const weights = map.rows[t] ?? [];
      const most = Math.max(...weights.map(Math.abs));
      names.forEach((name, s) => name.classList.toggle("lit", Math.abs(weights[s]) >= most / 3 && most > 0.01));
    };
    const column = (x) => Math.floor((x - left) / wide);
    return { node, show, column };
  };

  /** Words as a text whose words are shaded by the chosen target unit. */
  const text = (map, label) => {
    const words = map.units.map((unit) => html("span", { className: "word", textContent: unit }));
    const bounds = map.segments ?? [[0, words.length]];
    const node = html("div", { className: "reading-text", dir: "auto" }, ...bounds.map(([a, b]) =>
      html("p", {}, ...words.slice(a, b).flatMap((word) => [word, " "]))));
    node.setAttribute("role", "group");
    node.setAttribute("aria-label", label);
    const show = (t) => words.forEach((word, s) => {
      const weight = map.rows[t]?.[s] ?? 0;
      word.style.setProperty("--v", (Math.abs(weight) / map.full).toFixed(3));
      word.classList.toggle("negative", weight < 0);
      word.classList.toggle("linked", map.gold?.[t]?.includes(s) ?? false);
      word.title = weight.toFixed(3);
    });
    return { node, show };
  };

  /** A photo, dark where one word does not look, with the boxes of its phrase (Xu 2015, figure 3);
      with all boxes and nothing dark where t is -1. */
  const veiled = (map, t, width) => {
    const height = width / map.aspect;
    const [down, across] = map.grid;
    const weights = map.rows[t] ?? [];
    const most = Math.max(0, ...weights);
    const cells = weights.map((weight, s) => svg("rect", {
      x: ((s % across) * width) / across, y: (Math.floor(s / across) * height) / down,
      width: width / across, height: height / down, class: "veil",
      "fill-opacity": (most > 0 ? VEIL * (1 - Math.max(0, weight) / most) : 0).toFixed(3),
    }));
    const known = t < 0 ? (map.boxes ?? []).flat() : map.boxes?.[t] ?? [];
    const boxes = known.flatMap(([x, y, right, bottom]) => ["gold-ground", "gold-line"].map(
      (kind) => svg("rect", {
        x: x * width, y: y * height, width: (right - x) * width, height: (bottom - y) * height, class: kind,
      })));
    return svg("g", {}, svg("image", {
      href: map.data.picture, width, height, preserveAspectRatio: "none",
    }), ...cells, ...boxes);
  };

  /** The photo as it is, then every word with its own. */
  const photos = (map, label) => {
    const [width, gap, head, columns] = [96, 8, 18, 4];
    const step = width / map.aspect + head + gap;
    const tile = (word, t) => svg("g", {
      transform: `translate(${((t + 1) % columns) * (width + gap)} ${Math.floor((t + 1) / columns) * step})`,
    },
    svg("rect", { x: 0, y: 0, width, height: step - gap, class: "catch" }),
    svg("text", { x: 0, y: 12, class: t >= 0 && map.boxes?.[t].length ? "unit bold" : "unit" }, shortened(word, 14)),
    svg("g", { transform: `translate(0 ${head})` }, veiled(map, t, width)));
    const rows = map.target.map((word, t) => svg("g", { class: "row", "data-t": t }, tile(word, t)));
    const down = Math.ceil((rows.length + 1) / columns);
    const node = picture(columns * (width + gap) - gap, down * step, label, tile("the picture", -1), ...rows);
    return { node, show: lighting(node, rows) };
  };

  /** The photo of the chosen word, large. */
  const photo = (map, label) => {
    const width = 336;
    const node = picture(width, width / map.aspect, label);
    return { node, show: (t) => node.replaceChildren(veiled(map, t, width)) };
  };

  /** Sound: the spectrogram with a marker where the chosen unit listened, the true spans, and, if
      `whole`, a row of weights for each unit (Chorowski 2015, figure 2). */
  const sound = (map, label, whole) => {
    const { step, offset, seconds, data } = map;
    const [width, high] = [440, whole ? 90 : 160];
    const left = widest(map.target) + 10;
    const x = (time) => left + (Math.min(Math.max(time, 0), seconds) / seconds) * width;
    const begin = (s) => x(offset + (s - 0.5) * step);
    const end = (s) => x(offset + (s + 0.5) * step);
    const shapes = [];
    if (data.spectrogram) {
      const { bands, columns, at } = data.spectrogram;
      const level = data.bytes.subarray(at, at + bands * columns);
      // The lowest band lies at the bottom.
      const opacity = Array.from({ length: bands }, (_, row) =>
        Array.from(level.subarray((bands - 1 - row) * columns, (bands - row) * columns))).flat();
      shapes.push(svg("image", {
        href: canvas(columns, bands, opacity), x: left, y: 0, width, height: high, preserveAspectRatio: "none", class: "ink",
      }));
    }
    const curve = svg("path", { class: "curve" });
    const peak = svg("path", { class: "peak" });
    let y = high + 4;
    for (const [unit, from, to] of data.spans ?? []) {
      shapes.push(svg("rect", { x: x(from), y, width: x(to) - x(from), height: 16, class: "span" },
        svg("title", {}, unit)));
      if (extent(unit) < x(to) - x(from)) {
        shapes.push(svg("text", { x: (x(from) + x(to)) / 2, y: y + 12, class: "unit span-name", "text-anchor": "middle" }, unit));
      }
    }
    if (data.spans) y += 20;
    const rows = (whole ? map.target : []).map((unit, t) => {
      const top = y + t * 16;
      const links = map.gold?.[t] ?? [];
      return svg("g", { class: "row", "data-t": t },
        svg("rect", { x: 0, y: top, width: left + width, height: 16, class: "catch" }),
        svg("text", { x: left - 6, y: top + 12, class: "unit", "text-anchor": "end" }, shortened(unit)),
        ...map.units.flatMap((_, s) => cell(map, t, s, begin(s), top, end(s) - begin(s), 16)),
        ...(links.length ? [svg("rect", {
          x: begin(links[0]), y: top + 1, width: end(links.at(-1)) - begin(links[0]), height: 14, class: "gold",
        })] : []));
    });
    y += rows.length * 16;
    const size = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 600, 3600].find((one) => seconds / one <= 8) ?? seconds;
    for (let time = 0; time <= seconds; time += size) {
      shapes.push(svg("path", { d: `M${x(time)} ${y}v4`, class: "border" }),
        svg("text", { x: x(time), y: y + 16, class: "unit", "text-anchor": "middle" }, `${+time.toFixed(1)} s`));
    }
    const head = svg("path", { class: "playhead" });
    const node = picture(left + width + 16, y + 20, label, ...shapes, ...rows, curve, peak, head);
    const light = lighting(node, rows);
    const show = (t) => {
      light(t);
      const weights = map.rows[t] ?? [];
      const most = Math.max(0, ...weights);
      const points = weights.map((weight, s) =>
        `L${begin(s)} ${high * (1 - Math.max(0, weight) / most)}H${end(s)}`);
      curve.setAttribute("d", most > 0 ? `M${left} ${high}${points.join("")}V${high}Z` : "");
      peak.setAttribute("d", most > 0 ? `M${x(offset + weights.indexOf(most) * step)} 0V${y}` : "");
    };
    const at = (time) => head.setAttribute("d", time === null ? "" : `M${x(time)} 0V${y}`);
    return { node, show, at };
  };

  /** Begin and end in seconds of where a unit listened: around its peak, down to a quarter of it. */
  const listened = (map, t) => {
    const weights = map.rows[t];
    const most = Math.max(...weights);
    const peak = weights.indexOf(most);
    let [first, last] = [peak, peak];
    while (first > 0 && weights[first - 1] >= most / 4) first -= 1;
    while (last + 1 < weights.length && weights[last + 1] >= most / 4) last += 1;
    return [Math.max(0, map.offset + (first - 0.5) * map.step), map.offset + (last + 0.5) * map.step];
  };

  const draw = (map, view, label) => {
    if (map.kind === "grid") return view === "all" ? photos(map, label) : photo(map, label);
    if (map.kind === "frames") return sound(map, label, view === "all");
    return view === "all" ? matrix(map, label) : text(map, label);
  };

  // ---- Saving ---------------------------------------------------------------------------------------

  const PAINT = ["fill", "fill-opacity", "stroke", "stroke-width", "opacity", "font-size", "font-family", "font-weight"];

  /** A copy of a drawing that needs no style sheet; what is hidden is left out. */
  const painted = (node) => {
    const copy = node.cloneNode(false);
    copy.removeAttribute("class");
    const style = getComputedStyle(node);
    for (const name of PAINT) copy.setAttribute(name, style.getPropertyValue(name));
    for (const child of node.childNodes) {
      if (child.nodeType === Node.TEXT_NODE) copy.append(child.cloneNode());
      else if (child.nodeName !== "title" && getComputedStyle(child).display !== "none") copy.append(painted(child));
    }
    return copy;
  };

  /** A text view as a drawing: its words where the page has them. */
  const paintedText = (node) => {
    const frame = node.getBoundingClientRect();
    const words = [...node.querySelectorAll(".word")].flatMap((word) => {
      const [box, style] = [word.getBoundingClientRect(), getComputedStyle(word)];
      const [x, y] = [box.left - frame.left, box.top - frame.top];
      const linked = word.classList.contains("linked") && style.outlineStyle !== "none";
      return [
        svg("rect", { x, y, width: box.width, height: box.height, fill: style.backgroundColor, stroke: linked ? style.outlineColor : "none" }),
        svg("text", { x, y: y + box.height * 0.76, fill: style.color, "font-size": style.fontSize, "font-family": style.fontFamily }, word.textContent),
      ];
    });
    return svg("svg", { width: frame.width, height: frame.height }, ...words);
  };

  /** The view as one SVG file, its panels side by side, in the colours of paper. */
  const document_of = (panels) => {
    const root = document.documentElement;
    const theme = root.dataset.theme;
    root.dataset.theme = "light";
    let [x, height] = [0, 0];
    const parts = panels.flatMap(({ heading, node }) => {
      const copy = node.nodeName === "svg" ? painted(node) : paintedText(node);
      const box = { x, y: 24, width: +copy.getAttribute("width"), height: +copy.getAttribute("height") };
      for (const [name, value] of Object.entries(box)) copy.setAttribute(name, value);
      const title = svg("text", { x, y: 14, "font-size": 12, "font-weight": 600, "font-family": "system-ui, sans-serif" }, heading);
      x += Math.max(box.width, extent(heading) * 1.2) + 28;
      height = Math.max(height, box.y + box.height);
      return [title, copy];
    });
    if (theme === undefined) delete root.dataset.theme;
    else root.dataset.theme = theme;
    const whole = picture(x - 28, height, panels.map((one) => one.heading).join(" | "), ...parts);
    return new XMLSerializer().serializeToString(whole);
  };

  // ---- State and page ---------------------------------------------------------------------------------

  const start = () => {
    const form = document.querySelector("form.explorer");
    const template = document.querySelector("#panel");
    const { example, view, gold, add, save } = form.elements;
    const audio = form.querySelector("audio");
    const compared = form.querySelector(".compared");
    const status = form.querySelector(".status");
    const here = form.querySelector(".here");
    const names = [...template.content.querySelectorAll("[name=mechanism] option")].map((one) => one.textContent);
    let doing = DOING;
    let state;
    let panels = []; // of the state, each with its map and drawing
    let stop = null; // seconds at which playing ends

    /** The state that an address holds; what it does not say, or what there is not, is filled in later. */
    const parse = (hash) => {
      const given = new URLSearchParams(hash.replace(/^#/, ""));
      const known = [...example.options].map((one) => one.value);
      return {
        example: known.includes(given.get("example")) ? given.get("example") : known[0],
        view: given.get("view"),
        gold: given.get("gold") !== "0",
        unit: given.has("unit") ? Number(given.get("unit")) : -1,
        word: given.get("word"),
        panels: given.getAll("panel").map((one) => {
          const [, mechanism, mode, part] = one.match(/^(.*);([^;]*);([^;]*)$/s) ?? [];
          return { mechanism, mode, part };
        }).filter((one) => names.includes(one.mechanism)),
      };
    };

    const address = () => {
      const told = new URLSearchParams({ example: state.example, view: state.view });
      if (!state.gold) told.set("gold", "0");
      if (state.unit >= 0) {
        told.set("unit", state.unit);
        told.set("word", state.word);
      }
      for (const one of state.panels) told.append("panel", [one.mechanism, one.mode, one.part].join(";"));
      return `#${told}`;
    };

    const load = (name) => new Promise((done, fail) => {
      if (attentionData[name]) return done(attentionData[name]);
      const option = [...example.options].find((one) => one.value === name);
      const script = html("script", { src: option.dataset.file });
      script.onload = () => done(attentionData[name]);
      script.onerror = () => fail(new Error(`there is no ${option.dataset.file}`));
      return document.head.append(script);
    });

    /** Modes and parts that are kept of a mechanism on an example. */
    const modes = (data, mechanism) => data.maps.filter((one) => one.mechanism === mechanism).map((one) => one.mode);
    const parts = (data, panel) => Object.keys(
      data.maps.find((one) => one.mechanism === panel.mechanism && one.mode === panel.mode)?.parts ?? {});

    /** Fill in what a state does not say, as far as the example has it. */
    const complete = (data) => {
      const kept = names.filter((name) => modes(data, name).length);
      if (!state.panels.length) state.panels = kept.slice(0, 2).map((mechanism) => ({ mechanism }));
      for (const panel of state.panels) {
        const own = modes(data, panel.mechanism);
        if (!own.includes(panel.mode)) panel.mode = own.includes("free") ? "free" : own[0] ?? Object.keys(doing)[0];
        if (!parts(data, panel).includes(panel.part)) panel.part = "";
      }
      if (!["all", "one"].includes(state.view)) {
        const long = data.sources.some((one) => one.kind === "words" && one.units.length > READABLE);
        state.view = long ? "one" : "all";
      }
    };

    const title = (panel) => `${panel.mechanism}, ${doing[panel.mode]}${panel.part ? `, ${panel.part}` : ""}`;

    /** Show the row of a unit in all panels; -1 shows none. */
    const show = (unit, word) => {
      for (const one of panels) {
        const t = unit < 0 ? -1 : twin(one.map, unit, word);
        one.drawn.show(t);
        one.readout.textContent = t < 0 ? one.scale : describe(one.map, t);
        one.radios.forEach((radio, place) => radio.parentNode.classList.toggle("active", place === t));
      }
    };

    const tell = () => {
      history.replaceState(null, "", address());
      here.href = address();
    };

    /** Choose a unit: it is shown, listed in the table, and part of the address. */
    const choose = (unit, word) => {
      Object.assign(state, { unit, word });
      show(unit, word);
      for (const one of panels) {
        const t = unit < 0 ? -1 : twin(one.map, unit, word);
        one.radios.forEach((radio, place) => { radio.checked = place === t; });
        one.play.disabled = t < 0;
      }
      form.querySelector(".weights").replaceChildren(...tables());
      tell();
    };

    /** The weights of the chosen unit as tables: one for all panels whose source is the same. */
    const tables = () => {
      const chosen = panels.map((one) => ({ ...one, t: state.unit < 0 ? -1 : twin(one.map, state.unit, state.word) }))
        .filter((one) => one.t >= 0);
      const sources = [...new Set(chosen.map((one) => one.map.from))];
      const groups = sources.map((from) => chosen.filter((one) => one.map.from === from));
      return groups.flatMap((group, number) => {
        const largest = group.flatMap(({ map, t }) => map.rows[t].map((weight, s) => [Math.abs(weight), s])
          .sort((a, b) => b[0] - a[0]).slice(0, TOLD).filter(([weight]) => weight >= 0.005).map(([, s]) => s));
        const linked = group.flatMap(({ map, t }) => (state.gold && map.gold?.[t]) || []);
        const shown = [...new Set([...largest, ...linked])].sort((a, b) => a - b);
        const { map } = group[0];
        const heads = ["source", ...group.map((one) => one.heading), ...(linked.length ? ["gold"] : [])];
        const rows = shown.map((s) => html("tr", {}, html("th", {
          scope: "row", textContent: map.kind === "words" ? `${s + 1}. ${place(map, s)}` : place(map, s),
        }), ...group.map((one) => html("td", { textContent: one.map.rows[one.t][s].toFixed(3) })),
        ...(linked.length ? [html("td", { textContent: linked.includes(s) ? "yes" : "" })] : [])));
        const caption = `Largest weights of “${state.word}”${groups.length > 1 ? `, ${number + 1} of ${groups.length}` : ""}`;
        const scroll = html("div", { className: "scroll", tabIndex: 0 }, html("table", { className: "compact" },
          html("caption", { className: "unseen", textContent: caption }),
          html("thead", {}, html("tr", {}, ...heads.map((one) => html("th", { scope: "col", textContent: one })))),
          html("tbody", {}, ...rows)));
        scroll.setAttribute("role", "region");
        scroll.setAttribute("aria-label", caption);
        return [html("h2", { textContent: caption }), scroll];
      });
    };

    const fill = (select, entries, value) => {
      select.replaceChildren(...entries.map(([name, label]) => html("option", { value: name, textContent: label })));
      select.value = value;
    };

    /** One panel of the page: its controls, output and drawing. */
    const build = (data, panel, map, number) => {
      const node = document.importNode(template.content, true).firstElementChild;
      const control = (name) => node.querySelector(`[name=${name}]`);
      const own = modes(data, panel.mechanism);
      node.querySelector("h2").textContent = title(panel);
      control("mechanism").value = panel.mechanism;
      fill(control("mode"), (own.length ? own : [panel.mode]).map((one) => [one, doing[one]]), panel.mode);
      fill(control("part"), [["", "mean"], ...parts(data, panel).map((one) => [one, one])], panel.part);
      node.querySelector(".heads").hidden = !parts(data, panel).length;
      for (const name of ["mechanism", "mode", "part"]) {
        control(name).addEventListener("change", () => {
          panel[name] = control(name).value;
          render(data).then(() => compared.children[number]?.querySelector(`[name=${name}]`).focus());
        });
      }
      control("remove").hidden = state.panels.length < 2;
      control("remove").addEventListener("click", () => {
        state.panels.splice(number, 1);
        render(data).then(() => add.focus());
      });
      const output = node.querySelector(".output");
      const readout = node.querySelector(".readout");
      if (!map) {
        readout.textContent = "No attention of this mechanism is kept on this example.";
        output.hidden = true;
        node.querySelector(".drawing").hidden = true;
        return { node };
      }
      const score = data.scores[panel.mechanism];
      const scored = panel.mode === "free" && typeof score === "number" ? `, score ${score.toPrecision(3)}` : "";
      output.querySelector("legend").textContent = `${panel.mode === "free" ? "Output" : "What it reads"}: choose a unit${scored}`;
      const radios = map.target.map((word, t) => {
        const radio = html("input", { type: "radio", name: `unit-${number}`, value: t });
        radio.addEventListener("change", () => choose(t, word));
        const label = html("label", {}, radio, html("span", { dir: "auto", textContent: word }));
        label.addEventListener("pointerenter", () => show(t, word));
        output.append(label);
        return radio;
      });
      output.addEventListener("pointerleave", () => show(state.unit, state.word));
      const label = `Attention of ${title(panel)}`;
      const drawn = draw(map, state.view, label);
      const drawing = node.querySelector(".drawing");
      drawing.append(drawn.node);
      drawing.setAttribute("aria-label", `${label}, panel ${number + 1}`);
      drawing.addEventListener("pointermove", (event) => {
        const row = event.target.closest(".row");
        if (!row) return;
        const t = Number(row.dataset.t);
        show(t, map.target[t]);
        const s = drawn.column?.(event.clientX - drawn.node.getBoundingClientRect().left);
        if (s >= 0 && s < map.units.length) {
          readout.textContent = `${map.target[t]} ← ${map.units[s]} ${map.rows[t][s].toFixed(3)}`;
        }
      });
      drawing.addEventListener("pointerleave", () => show(state.unit, state.word));
      drawing.addEventListener("click", (event) => {
        const t = Number(event.target.closest(".row")?.dataset.t ?? -1);
        if (t >= 0) choose(...(t === state.unit ? [-1, null] : [t, map.target[t]]));
      });
      const play = control("play");
      play.hidden = map.kind !== "frames" || !data.sound;
      play.addEventListener("click", () => {
        const [begin, end] = listened(map, twin(map, state.unit, state.word));
        audio.currentTime = begin;
        stop = end;
        audio.play();
      });
      const scale = map.kind === "grid" ? "" : `In full colour: a weight of ${map.full.toFixed(2)}.`;
      return { node, map, drawn, radios, readout, play, scale, heading: title(panel) };
    };

    /** Draw the state anew. */
    const render = async (data) => {
      complete(data);
      example.value = state.example;
      view.value = state.view;
      gold.checked = state.gold;
      const maps = state.panels.map((panel) => find(data, panel));
      const full = fullest(maps.filter(Boolean));
      const built = state.panels.map((panel, number) => build(data, panel, maps[number] && { ...maps[number], full }, number));
      panels = built.filter((one) => one.map);
      form.querySelector(".overlay").hidden = !panels.some((one) => one.map.gold || one.map.boxes) && !data.spans;
      form.classList.toggle("no-gold", !state.gold);
      compared.replaceChildren(...built.map((one) => one.node));
      const first = panels[0]?.map.target;
      if (state.view === "one" && state.unit < 0 && first) Object.assign(state, { unit: 0, word: first[0] });
      choose(state.unit, state.word ?? first?.[state.unit]);
    };

    const open = async (next) => {
      state = next;
      status.textContent = "";
      let data;
      try {
        data = await load(state.example);
        data.bytes ??= await inflate(data.block);
      } catch (problem) {
        status.textContent = `The data of this example cannot be shown (${problem.message}).`;
        return;
      }
      form.querySelector(".texts").replaceChildren(...data.texts.flatMap(([name, words]) =>
        [html("dt", { textContent: name }), html("dd", { textContent: words, dir: "auto" })]));
      doing = data.maps.some((one) => one.mode === "free") ? DOING : GIVEN;
      audio.hidden = !data.sound;
      audio.pause();
      URL.revokeObjectURL(audio.src);
      if (data.sound) audio.src = URL.createObjectURL(wav(data.sound));
      await render(data);
    };

    // While a sound is played, a line moves over the spectrograms.
    const follow = () => {
      panels.forEach((one) => one.drawn.at?.(audio.paused && audio.currentTime === 0 ? null : audio.currentTime));
      if (stop !== null && audio.currentTime >= stop) {
        audio.pause();
        stop = null;
      }
      if (!audio.paused) requestAnimationFrame(follow);
    };
    audio.addEventListener("play", follow);
    audio.addEventListener("seeked", follow);
    audio.addEventListener("pause", () => { stop = null; });

    example.addEventListener("change", () => open({ ...state, example: example.value, view: null, unit: -1, word: null }));
    view.addEventListener("change", () => { state.view = view.value; render(attentionData[state.example]); });
    gold.addEventListener("change", () => { state.gold = gold.checked; render(attentionData[state.example]); });
    add.addEventListener("click", () => {
      const shown = state.panels.map((one) => one.mechanism);
      const { mode } = state.panels.at(-1) ?? {};
      state.panels.push({ mechanism: names.find((one) => !shown.includes(one)) ?? names[0], mode });
      render(attentionData[state.example]);
    });
    save.addEventListener("click", () => {
      const file = URL.createObjectURL(new Blob([document_of(panels.map((one) => ({
        heading: state.view === "one" ? `${one.heading}: “${state.word}”` : one.heading, node: one.drawn.node,
      })))], { type: "image/svg+xml" }));
      html("a", { href: file, download: `attention-${state.example.replace(/\W+/g, "-")}.svg` }).click();
      URL.revokeObjectURL(file);
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && state.view === "all") choose(-1, null);
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    // A link to another view of this page; the skip link has an anchor of another kind.
    addEventListener("hashchange", () => { if (location.hash.includes("example=")) open(parse(location.hash)); });

    form.hidden = false;
    open(parse(location.hash));
  };
  start();
})();
