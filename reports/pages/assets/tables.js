"use strict";
// Tables that answer: sort, filter, search, choose columns, practical equality, the cheapest of the best, copy.
// What a reader chose stands in the address (`#view=TABLE&sort=-bleu&attention=soft`), so that it can be sent.
// Without this script tables are as written; figures are read from data attributes (macros.html.j2).
(() => {
  const MOST_CHOICES = 24, STEPS = 60;
  const plural = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;

  const element = (tag, { attributes = {}, ...properties } = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };

  // ---- what a table holds

  // The words of a cell without the marks beside them.
  const words = (cell) => {
    const bare = cell.cloneNode(true);
    for (const one of bare.querySelectorAll(".detail, .tie, .mark, small, .note, .near")) one.remove();
    return bare.textContent.trim().replace(/\s+/g, " ");
  };
  const number = (text) => (text === undefined ? null : Number(text));

  const readCell = (cell) => ({
    cell,
    text: words(cell),
    missing: cell.classList.contains("missing"),
    value: number(cell.querySelector("data")?.value),
    low: number(cell.dataset.low),
    high: number(cell.dataset.high),
    group: number(cell.dataset.group),
    interval: cell.querySelector("small")?.textContent ?? "",
    note: cell.querySelector(".note")?.textContent ?? "",
  });

  const readTable = (table, name) => {
    const columns = [...table.tHead.rows].at(-1).cells;
    return {
      table,
      name,
      matrix: "matrix" in table.dataset,
      columns: [...columns].map((head, place) => ({
        head,
        place,
        key: head.dataset.key ?? "row",
        label: head.textContent.trim(),
        title: [...(table.tHead.rows.length > 1 && place ? [overOf(table, place)] : []), head.textContent.trim()]
          .filter(Boolean).join(": "),
        better: head.dataset.better,
        cost: head.dataset.cost,
        percent: "percent" in head.dataset,
        digits: Number(head.dataset.digits ?? 1),
        isText: head.classList.contains("text"),
      })),
      rows: [...table.tBodies[0].rows].map((row, place) => ({
        row,
        place,
        apart: row.classList.contains("apart"),
        axes: JSON.parse(row.dataset.axes ?? "{}"),
        text: row.textContent.toLowerCase(),
        cells: [...row.cells].map(readCell),
      })),
    };
  };

  // The heading over a column's heading.
  const overOf = (table, place) => {
    let end = 0;
    for (const cell of table.tHead.rows[0].cells) {
      end += cell.colSpan;
      if (place < end) return cell.textContent.trim();
    }
    return "";
  };

  // A cell that spans all columns stands for each of them.
  const entryOf = (row, place) => row.cells[place] ?? row.cells[1];

  // ---- the view: pure functions of a table and of what the reader chose

  const fresh = () => ({ sort: "", find: "", hide: [], within: 0, of: "", cheapest: "", filters: {} });

  // Columns whose differences can be judged: they have a better side and tie groups.
  const judgedOf = (model) =>
    model.columns.filter((one) => one.better && model.rows.some((row) => entryOf(row, one.place).group !== null));

  // The best figure: of a column, or of all columns of a matrix.
  const bestOf = (model, column) => {
    const places = model.matrix ? judgedOf(model).map((one) => one.place) : [column.place];
    const values = model.rows.filter((row) => !row.apart)
      .flatMap((row) => places.map((place) => entryOf(row, place).value)).filter((value) => value !== null);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return { best: column.better === "higher" ? high : low, span: values.length ? high - low : 0 };
  };

  const isEqual = (entry, best, within) =>
    within > 0 && entry.value !== null && Math.abs(entry.value - best) <= within * (1 + 1e-9);

  const passes = (row, state) =>
    (!state.find || state.find.toLowerCase().split(/\s+/).every((word) => row.text.includes(word)))
    && Object.entries(state.filters).every(([name, value]) => valueOf(row, name) === value);

  // The value of a row on an axis, or in a column of texts ("=KEY").
  const valueOf = (row, name) => (name.startsWith("=") ? entryOf(row, Number(name.slice(1))).text : row.axes[name] ?? "");

  const compare = (a, b, direction) => {
    const rank = (one) => (one.missing ? 2 : one.value === null && one.text === "" ? 2 : 0);
    if (rank(a) || rank(b)) return rank(a) - rank(b);  // nothing is last, whichever way
    if (a.value !== null && b.value !== null) return direction * (a.value - b.value || (a.low ?? 0) - (b.low ?? 0));
    if (a.value !== null || b.value !== null) return a.value !== null ? -1 : 1;
    return direction * a.text.localeCompare(b.text, "en", { numeric: true });
  };

  const orderOf = (model, state) => {
    const column = model.columns.find((one) => one.key === state.sort.replace(/^-/, ""));
    if (!column) return [...model.rows];
    const direction = state.sort.startsWith("-") ? -1 : 1;
    return [...model.rows].sort((a, b) =>
      a.apart - b.apart || compare(entryOf(a, column.place), entryOf(b, column.place), direction) || a.place - b.place);
  };

  // Rows of group 1 that pass the filters; the cheapest of them is the first by that cost.
  const cheapestOf = (model, state) => {
    const column = model.columns.find((one) => one.cost && one.key === state.cheapest);
    const judged = judgedOf(model)[0];
    if (!column || !judged) return null;
    const known = model.rows.filter((row) =>
      !row.apart && entryOf(row, judged.place).group === 1 && entryOf(row, column.place).value !== null && passes(row, state));
    known.sort((a, b) => compare(entryOf(a, column.place), entryOf(b, column.place), column.cost === "lower" ? 1 : -1));
    return { column, row: known[0] ?? null };
  };

  const amount = (value, column) =>
    column.percent ? `${(100 * value).toFixed(2).replace(/\.?0+$/, "")} pp` : value.toPrecision(2).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

  // ---- copies

  const shownColumns = (model, state) => model.columns.filter((one) => !one.place || !state.hide.includes(one.key));
  const shownRows = (model) => [...model.table.tBodies[0].rows].filter((row) => !row.hidden)
    .map((row) => model.rows.find((one) => one.row === row));

  const csv = (columns, rows) => {
    const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const safe = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);  // else a formula
    const parts = columns.map((column) => {
      const entries = rows.map((row) => entryOf(row, column.place));
      const has = (name) => entries.some((one) => one[name] !== null);
      return ["", ...(has("low") ? ["low", "high"] : []), ...(has("group") ? ["group"] : [])];
    });
    const field = (entry, part) => {
      if (part) return String(entry[part] ?? "");
      return entry.value === null ? safe(entry.text) : String(entry.value);
    };
    const head = columns.flatMap((one, place) =>
      parts[place].map((part) => (one.place ? one.key : one.label) + (part && `_${part}`)));
    const lines = rows.map((row) =>
      columns.flatMap((one, place) => parts[place].map((part) => field(entryOf(row, one.place), part))));
    return [head, ...lines].map((line) => line.map(quoted).join(",")).join("\n") + "\n";
  };

  const told = (entry) => [entry.text, entry.interval, entry.note].filter(Boolean);

  const markdown = (columns, rows) => {
    const escaped = (text) => text.replace(/([\\`*_[\]|#~$<>])/g, "\\$1");
    const entry = (one) => {
      const [first, ...rest] = told(one).map(escaped);
      return [one.group === 1 ? `**${first}**` : first, ...rest].join(" ");
    };
    const line = (cells) => `| ${cells.join(" | ")} |`;
    return [
      line(columns.map((one) => escaped(one.title))),
      line(columns.map((one) => (one.place && !one.isText ? "---:" : "---"))),
      ...rows.map((row) => line(columns.map((one) => entry(entryOf(row, one.place))))),
    ].join("\n") + "\n";
  };

  const latex = (columns, rows, title) => {
    const signs = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", "−": "$-$", "×": "$\\times$", "†": "\\dag{}", "…": "\\ldots{}" };
    const escaped = (text) => text.replace(/[&%$#_{}]|[\\~^<>|−×†…]/g, (one) => signs[one] ?? `\\${one}`);
    const entry = (one) => {
      const [first, ...rest] = told(one).map(escaped);
      const main = one.group === 1 ? `\\textbf{${first}}` : first;
      return rest.length ? `${main} {\\scriptsize ${rest.join(" ")}}` : main;
    };
    const line = (cells) => `${cells.join(" & ")} \\\\`;
    return [
      "% \\usepackage{booktabs}", "\\begin{table}", "\\centering", `\\caption{${escaped(title)}}`,
      `\\begin{tabular}{${columns.map((one) => (one.place && !one.isText ? "r" : "l")).join("")}}`, "\\toprule",
      line(columns.map((one) => escaped(one.title))), "\\midrule",
      ...rows.map((row) => line(columns.map((one) => entry(entryOf(row, one.place))))),
      "\\bottomrule", "\\end{tabular}", "\\end{table}",
    ].join("\n") + "\n";
  };

  const FORMATS = { CSV: csv, Markdown: markdown, LaTeX: latex };

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // not allowed here: by a selection
      const field = element("textarea", { value: text, className: "unseen" });
      document.body.append(field);
      field.select();
      const done = document.execCommand("copy");
      field.remove();
      if (!done) throw new Error("copying is not allowed");
    }
  };

  // ---- the address

  const views = [];

  const chosen = ({ state }) => [
    ...(state.sort ? [["sort", state.sort]] : []),
    ...(state.find ? [["find", state.find]] : []),
    ...(state.hide.length ? [["hide", state.hide.join(",")]] : []),
    ...(state.within ? [["within", String(Number(state.within.toPrecision(6)))]] : []),
    ...(state.of ? [["of", state.of]] : []),
    ...(state.cheapest ? [["cheapest", state.cheapest]] : []),
    ...Object.entries(state.filters).map(([name, value]) => [`is.${name}`, value]),
  ];

  const writeAddress = () => {
    const parts = views.flatMap((view) => {
      const own = chosen(view);
      return own.length ? [["view", view.model.name], ...own] : [];
    });
    const anchor = parts.length ? `#${new URLSearchParams(parts)}` : "";
    history.replaceState(null, "", location.pathname + location.search + anchor);
  };

  // The state of each table by its name; null where the address has no view.
  const readAddress = (hash) => {
    if (!hash.startsWith("#view=")) return null;
    const found = new Map();
    let state = null;
    for (const [name, value] of new URLSearchParams(hash.slice(1))) {
      if (name === "view") found.set(value, (state = fresh()));
      else if (name === "hide") state.hide = value.split(",");
      else if (name === "within") state.within = Math.max(0, Number(value) || 0);
      else if (name.startsWith("is.")) state.filters[name.slice(3)] = value;
      else if (["sort", "find", "of", "cheapest"].includes(name)) state[name] = value;
    }
    return found;
  };

  // ---- a table in the page

  class View {
    constructor(model) {
      this.model = model;
      this.state = fresh();
      this.judged = judgedOf(model);
      this.sync = [];  // each writes the state into one control
      for (const column of model.columns) this.sortButton(column);
      const parts = this.controls();
      this.status = element("p", { className: "told", attributes: { role: "status" } });
      this.panel = element("div", { className: "panel", hidden: true, id: `tools-${model.name}` }, ...parts);
      this.opener = element("button", {
        type: "button", className: "opener", textContent: "Filter, columns, copy",
        attributes: { "aria-expanded": "false", "aria-controls": this.panel.id, "aria-label": `Filter, columns, copy: ${model.title}` } });
      this.opener.addEventListener("click", () => this.open(this.panel.hidden));
      const tools = element("div", { className: "tools" }, this.opener, this.status, this.panel);
      model.table.closest(".scroll").before(tools);
      this.render();
    }

    open(wanted) {
      this.panel.hidden = !wanted;
      this.opener.setAttribute("aria-expanded", String(wanted));
    }

    change(changes) {
      Object.assign(this.state, changes);
      this.render();
      writeAddress();
    }

    sortButton(column) {
      const { head } = column, button = element("button", { type: "button", className: "sort" });
      button.append(...head.childNodes);
      head.append(button);
      const first = column.cost ?? column.better;
      const ahead = column.place && !column.isText && first !== "lower" ? `-${column.key}` : column.key;
      const back = ahead.startsWith("-") ? column.key : `-${column.key}`;
      button.addEventListener("click", () =>
        this.change({ sort: { [ahead]: back, [back]: "" }[this.state.sort] ?? ahead }));
      this.sync.push(({ sort }) => {
        if (sort.replace(/^-/, "") === column.key) head.setAttribute("aria-sort", sort.startsWith("-") ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
    }

    controls() {
      const parts = [this.search(), ...this.filters()];
      if (this.judged.length) parts.push(this.slider());
      const costs = this.model.columns.filter((one) => one.cost);
      if (costs.length && this.judged.length) parts.push(this.cheapest(costs));
      if (this.model.columns.length > 2) parts.push(this.chooser());
      parts.push(this.buttons());
      return parts;
    }

    select(label, options, read, change) {
      const menu = element("select", {}, ...options.map(([value, text]) => element("option", { value, textContent: text })));
      menu.addEventListener("change", () => change(menu.value));
      this.sync.push((state) => { menu.value = read(state); });
      return element("label", {}, label, menu);
    }

    search() {
      const field = element("input", { type: "search", autocomplete: "off", spellcheck: false });
      field.addEventListener("input", () => this.change({ find: field.value.trim() }));
      this.sync.push(({ find }) => { if (field.value.trim() !== find) field.value = find; });
      return element("label", {}, "Search", field);
    }

    // One menu for each axis and each column of texts that has several values.
    filters() {
      const { rows, columns } = this.model;
      const axes = [...new Set(rows.flatMap((row) => Object.keys(row.axes)))].map((name) => [name, name]);
      const texts = columns.filter((one) => one.place && one.isText).map((one) => [`=${one.place}`, one.label]);
      return [...axes, ...texts].flatMap(([name, label]) => {
        const values = [...new Set(rows.filter((row) => !row.apart).map((row) => valueOf(row, name)))];
        if (values.length < 2 || values.length > MOST_CHOICES) return [];
        const options = values.filter(Boolean).map((value) => [value, value]);
        return [this.select(label, [["", "any"], ...options], ({ filters }) => filters[name] ?? "", (value) => {
          const { [name]: _, ...filters } = this.state.filters;
          this.change({ filters: value ? { ...filters, [name]: value } : filters });
        })];
      });
    }

    judgedColumn() {
      return this.judged.find((one) => one.key === this.state.of) ?? this.judged[0];
    }

    slider() {
      const field = element("input", { type: "range", min: 0, max: STEPS, step: 1, value: 0 });
      const shown = element("output");
      const scale = () => {  // a round step, so that a reader can set a round difference
        const { span } = bestOf(this.model, this.judgedColumn()), raw = span / STEPS || 1;
        const power = 10 ** Math.floor(Math.log10(raw));
        return power * [1, 2, 5, 10].find((one) => one * power >= raw * (1 - 1e-9));
      };
      field.addEventListener("input", () => this.change({ within: Number((Number(field.value) * scale()).toPrecision(6)) }));
      this.sync.push(({ within }) => {
        field.value = Math.round(within / scale());
        shown.textContent = within ? amount(within, this.judgedColumn()) : "any";
        field.setAttribute("aria-valuetext", shown.textContent);
      });
      const label = element("label", { className: "range" }, "Smallest difference that matters to you", field, shown);
      if (this.judged.length < 2 || this.model.matrix) return label;
      const options = this.judged.map((one) => [one.key, one.label]);
      const menu = this.select("in", options, () => this.judgedColumn().key, (of) => this.change({ of, within: 0 }));
      return element("div", { className: "pair" }, label, menu);
    }

    cheapest(costs) {
      const options = costs.map((one) => [one.key, one.label]);
      return this.select("Cheapest within group 1, by", [["", "not asked"], ...options], ({ cheapest }) => cheapest, (key) => {
        const cost = costs.find((one) => one.key === key);
        this.change({ cheapest: key, sort: cost ? (cost.cost === "lower" ? key : `-${key}`) : "" });
      });
    }

    chooser() {
      const boxes = this.model.columns.filter((one) => one.place).map((column) => {
        const box = element("input", { type: "checkbox", checked: true });
        box.addEventListener("change", () => this.change({
          hide: box.checked ? this.state.hide.filter((key) => key !== column.key) : [...this.state.hide, column.key] }));
        this.sync.push(({ hide }) => { box.checked = !hide.includes(column.key); });
        return element("label", {}, box, column.title);
      });
      return element("fieldset", {}, element("legend", { textContent: "Columns" }), ...boxes);
    }

    buttons() {
      const button = (label, act) => {
        const made = element("button", { type: "button", textContent: label });
        made.addEventListener("click", act);
        return made;
      };
      const copying = (label, text) => button(`Copy ${label}`, () => copy(text()).then(
        () => this.tell(`${label} copied.`), () => this.tell(`The browser does not let ${label} be copied.`)));
      const kinds = Object.entries(FORMATS).map(([label, format]) => copying(label, () =>
        format(shownColumns(this.model, this.state), shownRows(this.model), this.model.title)));
      const reset = button("As it was", () => this.change(fresh()));
      return element("div", { className: "acts" }, ...kinds, copying("link to this view", () => location.href), reset);
    }

    tell(text) {
      this.status.textContent = text;
    }

    render() {
      const { model, state } = this;
      const visible = orderOf(model, state);
      model.table.tBodies[0].append(...visible.map((one) => one.row));
      for (const one of model.rows) one.row.hidden = !passes(one, state);
      this.renderColumns();
      const equal = this.renderEqual();
      const cheapest = cheapestOf(model, state);
      for (const one of model.rows) one.row.classList.toggle("cheapest", one === cheapest?.row);
      for (const write of this.sync) write(state);
      const shown = model.rows.filter((one) => !one.row.hidden).length;
      const sentences = [];
      if (shown < model.rows.length) sentences.push(`${shown} of ${plural(model.rows.length, "row")}.`);
      if (state.hide.length) sentences.push(`${plural(state.hide.length, "column")} hidden.`);
      if (state.within) sentences.push(`${equal} within ${amount(state.within, this.judgedColumn())} of the best: practically equal to it.`);
      if (cheapest) sentences.push(cheapest.row
        ? `Cheapest within group 1 by ${cheapest.column.label}: ${cheapest.row.cells[0].text}, ${entryOf(cheapest.row, cheapest.column.place).text}.`
        : "Nothing shown is in group 1.");
      this.tell(sentences.join(" "));
    }

    renderColumns() {
      const { model, state } = this;
      const hidden = (column) => column.place > 0 && state.hide.includes(column.key);
      const left = model.columns.filter((one) => one.place && !hidden(one)).length;
      for (const column of model.columns) column.head.hidden = hidden(column);
      for (const { row, cells } of model.rows) {
        const spans = row.cells.length < model.columns.length;
        if (spans) cells[1].cell.colSpan = Math.max(1, left);
        else for (const column of model.columns) cells[column.place].cell.hidden = hidden(column);
      }
      if (model.table.tHead.rows.length < 2) return;
      let start = 1;
      for (const cell of [...model.table.tHead.rows[0].cells].slice(1)) {
        const span = (cell.dataset.span ??= cell.colSpan) * 1;
        const own = model.columns.slice(start, start + span).filter((one) => !hidden(one)).length;
        cell.hidden = !own;
        if (own) cell.colSpan = own;
        start += span;
      }
    }

    // Marks what is practically equal to the best; returns how many figures are.
    renderEqual() {
      const { model, state } = this;
      for (const mark of model.table.querySelectorAll(".near")) mark.remove();
      for (const cell of model.table.querySelectorAll(".equal")) cell.classList.remove("equal");
      if (!state.within || !this.judged.length) return 0;
      const column = this.judgedColumn(), { best } = bestOf(model, column);
      const columns = model.matrix ? this.judged : [column];
      const entries = model.rows.filter((row) => !row.apart && !row.row.hidden)
        .flatMap((row) => columns.map((one) => entryOf(row, one.place)));
      const equal = [...new Set(entries)].filter((one) => isEqual(one, best, state.within));
      for (const { cell } of equal) {
        cell.classList.add("equal");
        cell.querySelector("data").append(element("span", { className: "near", title: "practically equal to the best", textContent: " ≈" }));
      }
      return equal.length;
    }
  }

  const restore = () => {
    const found = readAddress(location.hash);
    if (!found) return;
    for (const view of views) {
      const state = found.get(view.model.name);
      view.state = state ?? fresh();
      view.render();
      if (state && (Object.keys(state.filters).length || state.find || state.hide.length || state.within || state.cheapest)) view.open(true);
    }
    views.find((view) => found.has(view.model.name))?.model.table.closest(".scroll").previousElementSibling.scrollIntoView();
  };

  // ---- the sections of the page

  const sections = () => {
    const heads = [...document.querySelectorAll("main :is(h2, h3)[id]")];
    if (heads.length < 3) return;
    const links = heads.map((head) => {
      const link = element("a", { href: `#${head.id}`, textContent: head.textContent.trim() });
      return element("li", { className: head.localName }, link);
    });
    const wide = matchMedia("(min-width: 64rem)");
    const box = element("details", { open: wide.matches }, element("summary", { textContent: "On this page" }), element("ul", {}, ...links));
    wide.addEventListener("change", () => { box.open = wide.matches; });
    box.addEventListener("click", (event) => { if (event.target.closest("a") && !wide.matches) box.open = false; });
    document.querySelector("main").before(element("nav", { className: "side", attributes: { "aria-label": "On this page" } }, box));
    document.documentElement.classList.add("sided");
    const seen = new Set();
    const observer = new IntersectionObserver((changes) => {
      for (const { target, isIntersecting } of changes) seen[isIntersecting ? "add" : "delete"](target);
      const now = heads.findIndex((head) => seen.has(head));
      if (now < 0) return;
      links.forEach(({ firstChild: link }, place) => {
        if (place === now) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      });
    }, { rootMargin: "-64px 0px -60% 0px" });
    for (const head of heads) observer.observe(head);
  };

  sections();
  const used = new Map();
  for (const table of document.querySelectorAll("table[data-name]")) {
    const name = table.dataset.name, count = (used.get(name) ?? 0) + 1;
    used.set(name, count);
    const model = readTable(table, count > 1 ? `${name}.${count}` : name);
    model.title = table.caption.textContent.trim();
    if (model.rows.length > 2) views.push(new View(model));
  }
  restore();
  addEventListener("hashchange", restore);
  document.documentElement.dataset.answering = "";
})();
