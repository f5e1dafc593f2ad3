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

  // The only way that scripts of other files get into a page (`strict-dynamic`): what lets tables
  // answer, what draws figures, and the attention explorer, which loads its examples likewise.
  const scripts = {
    "table[data-name], :is(h2, h3)[id]": "tables.js",
    "figure.chart": "figures.js",
    "form.explorer": "explorer.js",
  };
  const load = () => {
    for (const [needed, file] of Object.entries(scripts)) {
      if (!document.querySelector(needed)) continue;
      const script = document.createElement("script");
      script.src = file;
      script.async = false;
      document.head.append(script);
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    themeButton();
    load();
  });

  // Paper cannot be clicked: what is folded is printed.
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details:not([open])")) { one.open = true; one.dataset.folded = ""; }
  });
  addEventListener("afterprint", () => {
    for (const one of document.querySelectorAll("details[data-folded]")) { one.open = false; delete one.dataset.folded; }
  });
})();
