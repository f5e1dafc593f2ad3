"use strict";
(() => {
  const root = document.documentElement;
  const remembered = {
    get: () => { try { return localStorage.getItem("attnbench-theme"); } catch { return null; } },
    set: (theme) => { try { localStorage.setItem("attnbench-theme", theme); } catch { /* private mode */ } },
  };

  // Before the first paint, so that nothing flashes.
  const dress = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  dress(remembered.get());

  const themeButton = () => {
    const button = document.querySelector("button.theme");
    const name = button.querySelector("span");
    const order = ["auto", "light", "dark"];
    let place = Math.max(0, order.indexOf(remembered.get()));
    name.textContent = order[place];
    button.hidden = false;
    button.addEventListener("click", () => {
      place = (place + 1) % order.length;
      name.textContent = order[place];
      dress(order[place]);
      remembered.set(order[place]);
    });
  };

  // Source units of a row with the weights that its rectangles show.
  const weightsOf = (map, row) => {
    const cell = Number(map.dataset.cell);
    const weights = new Map();
    for (const box of row.querySelectorAll(".strip rect")) {
      const place = Math.round(Number(box.getAttribute("x")) / cell);
      weights.set(place, Number(box.getAttribute("fill-opacity")));
    }
    return weights;
  };

  const read = (map, row) => {
    const weights = weightsOf(map, row);
    const most = Math.max(0, ...weights.values());
    map.classList.add("reading");
    for (const other of map.querySelectorAll(".row")) {
      other.classList.toggle("active", other === row);
      other.setAttribute("aria-selected", String(other === row));
    }
    for (const label of map.querySelectorAll(".source")) {
      const weight = weights.get(Number(label.dataset.s)) ?? 0;
      label.classList.toggle("lit", weight > 0 && weight >= most / 3);
    }
    map.closest("figure").querySelector(".readout").textContent = row.querySelector("title").textContent;
  };

  const rest = (map) => {
    map.classList.remove("reading");
    for (const row of map.querySelectorAll(".row")) {
      row.classList.remove("active");
      row.setAttribute("aria-selected", "false");
    }
    map.closest("figure").querySelector(".readout").textContent = "";
  };

  // The same unit at the same place in all maps of one example: mechanisms side by side.
  const together = (map, row) => {
    for (const other of map.closest(".maps").querySelectorAll(".map")) {
      const twin = [...other.querySelectorAll(".row")].find(
        (one) => one.dataset.t === row.dataset.t && one.dataset.word === row.dataset.word);
      if (twin) read(other, twin); else rest(other);
    }
  };

  const explore = (map) => {
    const rows = [...map.querySelectorAll(".row")];
    const list = map.querySelector("[role=listbox]");
    const end = () => map.closest(".maps").querySelectorAll(".map").forEach(rest);
    for (const row of rows) {
      row.addEventListener("pointerenter", () => together(map, row));
      row.addEventListener("click", () => together(map, row));
    }
    map.addEventListener("pointerleave", () => { if (document.activeElement !== list) end(); });
    list.addEventListener("focus", () => {
      if (!map.querySelector(".row.active")) together(map, rows[0]);
    });
    list.addEventListener("blur", end);
    list.addEventListener("keydown", (event) => {
      const steps = { ArrowDown: 1, ArrowUp: -1, Home: -rows.length, End: rows.length };
      if (!(event.key in steps)) return;
      event.preventDefault();
      const now = rows.findIndex((row) => row.classList.contains("active"));
      const next = Math.min(rows.length - 1, Math.max(0, now + steps[event.key]));
      together(map, rows[next]);
    });
  };

  // The only way that a script of another file gets into a page (`strict-dynamic`).
  const load = (file, needed) => {
    if (!document.querySelector(needed)) return;
    const script = document.createElement("script");
    script.src = file;
    script.async = false;
    document.head.append(script);
  };

  document.addEventListener("DOMContentLoaded", () => {
    themeButton();
    load("tables.js", "table[data-name], :is(h2, h3)[id]");
    load("figures.js", "figure.chart");
    document.querySelectorAll(".map").forEach(explore);
  });

  // Paper cannot be clicked: what is folded is printed.
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details:not([open])")) { one.open = true; one.dataset.folded = ""; }
  });
  addEventListener("afterprint", () => {
    for (const one of document.querySelectorAll("details[data-folded]")) { one.open = false; delete one.dataset.folded; }
  });
})();
