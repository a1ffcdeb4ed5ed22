// The run page: charts (uPlot), the table of candidates (only visible rows exist), and news while the run goes on.
"use strict";
(function () {
  let data = JSON.parse(document.getElementById("data").textContent);
  const el = function (id) { return document.getElementById(id); };

  // pictures and GIFs below the fold load when they come near
  const watcher = new IntersectionObserver(function (entries) {
    for (const entry of entries) if (entry.isIntersecting) {
      entry.target.src = entry.target.dataset.src;
      watcher.unobserve(entry.target);
    }
  }, { rootMargin: "120px" });
  function watch() { document.querySelectorAll("img[data-src]:not([src])").forEach(function (i) { watcher.observe(i); }); }

  // charts
  const charts = [];
  const colour = function (name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); };
  const number = function (value) { return value == null ? "–" : Number(value.toPrecision(4)).toString(); };
  function line(label, name, width, scale, dash) {
    return { label: label, class: width ? "shown" : "quiet", stroke: function () { return colour(name); }, width: width, scale: scale, dash: dash,
      value: function (u, v) { return number(v); }, points: { show: width > 0 && data.series.generation.length < 40 } };
  }
  function axis(scale, label, extra) {
    const ink = function () { return colour("--dim"); };
    return Object.assign({ scale: scale, label: label, stroke: ink, grid: { width: 1, stroke: function () { return colour("--line"); } },
      ticks: { width: 1, stroke: function () { return colour("--line"); } }, labelSize: 22, size: 56, font: "12px system-ui",
      labelFont: "12px system-ui" }, extra);
  }
  const whole = function (u, splits) { return splits.map(function (v) { return Number.isInteger(v) ? v : null; }); };
  function chart(id, columns, series, scales, axes, bands) {
    const box = el(id);
    if (!box || !window.uPlot) return;
    const values = function () { return columns.map(function (c) { return data.series[c]; }); };
    const generation = { label: "Generation", value: function (u, v) { return v == null ? "–" : v; } };
    const options = { width: box.clientWidth || 320, height: 240, series: [generation].concat(series), bands: bands,
      scales: Object.assign({ x: { time: false } }, scales), cursor: { y: false },
      legend: { markers: { width: 0, fill: function (u, i) { return i ? u.series[i].stroke(u, i) : null; } } },
      axes: [axis("x", "generation", { size: 34, values: whole })].concat(axes) };
    const plot = new uPlot(options, values(), box);
    plot.root.querySelector("canvas").setAttribute("aria-hidden", "true");
    const sizes = new ResizeObserver(function () {
      if (box.clientWidth && box.clientWidth !== plot.width) plot.setSize({ width: box.clientWidth, height: 240 });
    });
    sizes.observe(box);
    charts.push({ update: function () { plot.setData(values()); }, remove: function () { sizes.disconnect(); plot.destroy(); } });
  }
  const raw = el("raw");
  function drawCharts() {
    const told = data.series.progress.length > 0;
    el("switch").hidden = !told;
    if (told && !raw.checked) drawProgress(); else drawLosses();
    chart("chart-step", ["generation", "step_size", "axis_ratio"],
      [line("Step size", "--green", 2, "step"), line("Axis ratio", "--orange", 2, "ratio", [6, 4])], {},
      [axis("step", "step size"), axis("ratio", "axis ratio", { side: 1, grid: { show: false } })]);
  }
  function drawProgress() {
    const whole = function (u, low, high) { return [0, 1.05 * Math.max(100, high)]; };
    chart("chart-loss", ["told", "progress"], [line("% of the original's loss", "--red", 2, "y")], { y: { range: whole } },
      [axis("y", "% of the original's loss")]);
  }
  function drawLosses() {
    const band = { series: [4, 3], fill: function () { return "rgba(" + colour("--tint") + ",.18)"; } };
    chart("chart-loss", ["generation", "best", "mean", "lower", "upper"],
      [line("Best", "--red", 2, "y"), line("Mean ± std", "--blue", 1.5, "y"), line("Mean − std", "--blue", 0, "y"),
        line("Mean + std", "--blue", 0, "y")], {}, [axis("y", "loss")], [band]);
  }
  function redraw() {
    charts.splice(0).forEach(function (c) { c.remove(); });
    drawCharts();
  }
  raw.addEventListener("change", redraw);
  document.addEventListener("theme", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // the table of candidates
  const HEIGHT = 72, G = 0, I = 1, LOSS = 2, FOLDER = 7, PICTURE = 8, BEST = 9, ERROR = 10;
  const box = el("rows"), pool = new Map();
  let order = [], sort = { column: -1, down: false };
  const path = function (name) { return name.split("/").map(encodeURIComponent).join("/"); };
  function select() {
    const text = el("find").value.trim().toLowerCase(), kind = el("kind").value, most = parseFloat(el("most").value);
    order = [];
    data.rows.forEach(function (row, place) {
      if (kind === "best" && !row[BEST] || kind === "failed" && row[LOSS] !== null) return;
      if (most === most && !(row[LOSS] !== null && row[LOSS] <= most)) return;
      if (text && !((row[G] + "." + row[I]).startsWith(text) || row[FOLDER].includes(text) ||
        row[ERROR].toLowerCase().includes(text))) return;
      order.push(place);
    });
    if (sort.column >= 0) {
      const c = sort.column, sign = sort.down ? -1 : 1, rows = data.rows;
      order.sort(function (a, b) {
        const x = rows[a][c], y = rows[b][c];
        if (x === null || y === null) return (x === null) - (y === null) || a - b;
        return sign * (x - y) || a - b;
      });
    } else if (sort.down) order.reverse();
    el("count").textContent = order.length + " of " + data.rows.length;
    el("space").style.height = order.length * HEIGHT + "px";
    el("grid").setAttribute("aria-rowcount", order.length + 1);
    pool.forEach(function (node) { node.remove(); });
    pool.clear();
    show();
  }
  function show() {
    const first = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 3);
    const last = Math.min(order.length, Math.ceil((box.scrollTop + box.clientHeight) / HEIGHT) + 3);
    pool.forEach(function (node, place) { if (place < first || place >= last) { node.remove(); pool.delete(place); } });
    for (let place = first; place < last; place++) if (!pool.has(place)) {
      const node = draw(data.rows[order[place]], place);
      pool.set(place, node);
      el("space").append(node);
    }
  }
  function make(tag, name, text) {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  }
  function draw(row, place) {
    const node = make("div", "row" + (row[BEST] ? " best" : "")), name = row[G] + "." + row[I];
    node.setAttribute("role", "row");
    node.setAttribute("aria-rowindex", place + 2);
    node.style.top = place * HEIGHT + "px";
    const cells = [make("div"), make("div")];
    if (row[PICTURE]) {
      const picture = make("img");
      picture.alt = "Images of candidate " + name;
      picture.loading = "lazy";
      picture.src = path(row[FOLDER] + "/" + row[PICTURE]);
      cells[0].append(picture);
    }
    if (row[PICTURE] || row[LOSS] !== null) {
      const link = make("a", "", name);
      link.setAttribute("aria-label", "Candidate " + name);
      link.href = path(row[FOLDER] + "/index.html");
      cells[1].append(link);
    } else cells[1].append(name);
    const note = row[LOSS] === null ? "failed: " + row[ERROR] : row[BEST] ? "best" : "";
    if (note) {
      const small = make("div", row[LOSS] === null ? "bad" : "dim", note);
      small.title = note;
      cells[1].append(small);
    }
    for (let column = 2; column < 7; column++) {
      const text = row[column] === null ? "–" : column === 6 ? row[column].toFixed(1) + " s" : row[column].toFixed(4);
      cells.push(make("div", "n" + (column > 3 ? " wide" : ""), text));
    }
    cells.forEach(function (cell) { cell.setAttribute("role", "cell"); node.append(cell); });
    return node;
  }
  function sortBy(column) {
    sort = { column: column, down: sort.column === column ? !sort.down : false };
    document.querySelectorAll("#grid [data-column]").forEach(function (head) {
      const mine = Number(head.dataset.column) === column;
      head.setAttribute("aria-sort", mine ? (sort.down ? "descending" : "ascending") : "none");
    });
    box.scrollTop = 0;
    select();
  }
  document.querySelectorAll("#grid [data-column] button").forEach(function (button) {
    button.addEventListener("click", function () { sortBy(Number(button.parentNode.dataset.column)); });
  });
  ["find", "kind", "most"].forEach(function (id) { el(id).addEventListener("input", function () { box.scrollTop = 0; select(); }); });
  box.addEventListener("scroll", show, { passive: true });
  new ResizeObserver(show).observe(box);

  // news: a small script says whether there is any, a larger one brings it; both also work from a file
  let version = data.version;
  function load(name) {
    const script = document.createElement("script");
    script.src = name + "?" + Date.now();
    script.onload = script.onerror = function () { script.remove(); };
    document.head.append(script);
  }
  window.pinState = function (news) { if (news.version !== version) load("data.js"); };
  window.pinData = function (news) {
    version = news.version;
    data = news;
    for (const name in news.sections) {
      const fresh = document.createElement("template");
      fresh.innerHTML = news.sections[name];
      if (el(name)) morph(el(name), fresh.content);
    }
    if (el("switch").hidden && data.series.progress.length) redraw(); else charts.forEach(function (c) { c.update(); });
    const top = box.scrollTop;
    select();
    box.scrollTop = top;
    show();
    watch();
  };
  // only what differs is replaced, so nothing flickers and nothing moves
  function morph(old, fresh) {
    const before = Array.from(old.childNodes), after = Array.from(fresh.childNodes);
    if (before.length !== after.length) return old.replaceChildren.apply(old, after);
    before.forEach(function (node, place) {
      const other = after[place];
      if (node.isEqualNode(other)) return;
      const alike = node.nodeType === 1 && other.nodeType === 1 && node.cloneNode(false).isEqualNode(other.cloneNode(false));
      if (alike && node.childNodes.length) morph(node, other);
      else if (!(node.dataset && node.dataset.src && other.dataset && node.dataset.src === other.dataset.src)) node.replaceWith(other);
    });
  }
  setInterval(function () { if (data.state === "running" && !document.hidden) load("state.js"); }, 3000);

  select();
  watch();
  if (data.state === "running") load("state.js");
  document.documentElement.dataset.ready = "yes";
  setTimeout(drawCharts); // the page can be used before they are there
})();
