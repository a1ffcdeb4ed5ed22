// The map of a prompt: tiles that zoom, outlines of clusters, the hovered or focused candidate, and ranges of weights.
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#a08c00", "#8a63d2"];
  const colour = function (cluster) { return cluster < 0 ? "#888888" : COLOURS[cluster % COLOURS.length]; };
  const place = function (row) {
    return {x: row[0], y: row[1], cluster: row[2], prompt: row[3], negative: row[4], folder: row[5], weights: row[6]};
  };
  const places = data.places.map(place);
  const byId = function (id) { return document.getElementById(id); };
  document.querySelectorAll("[data-key]").forEach(function (key) {
    key.style.setProperty("--c", colour(Number(key.dataset.key) - 1));
  });

  // the ranges of a cluster's weights
  const shown = function (value, decimals) { return String(Number(value.toFixed(decimals))); };
  const bounds = data.axes.map(function (_, axis) {
    const all = places.map(function (one) { return one.weights[axis]; });
    return [Math.min.apply(null, all), Math.max.apply(null, all)];
  });
  document.querySelectorAll("[data-range]").forEach(function (slider) {
    const number = Number(slider.dataset.range) + 1, ranges = data.clusters[number - 1].ranges;
    const update = function () {
      const range = ranges[Number(slider.value)], box = byId("spans-" + number), negative = byId("keep-negative-" + number);
      byId("share-" + number).textContent = Math.round(100 * range[0]) + " %";
      slider.setAttribute("aria-valuetext", byId("share-" + number).textContent);
      byId("inside-" + number).textContent = range[3] + " candidate" + (range[3] === 1 ? " of the map lies" : "s of the map lie") +
        " within all of these ranges, " + range[4] + " of them in this cluster.";
      byId("keep-" + number).textContent = range[5];
      negative.textContent = range[6];
      negative.hidden = !range[6];
      box.replaceChildren();
      data.axes.forEach(function (axis, place) {
        const label = document.createElement("span"), bar = document.createElement("i"), fill = document.createElement("b");
        const text = document.createElement("span"), width = bounds[place][1] - bounds[place][0] || 1;
        label.textContent = axis[0];
        fill.style.left = 100 * (range[1][place] - bounds[place][0]) / width + "%";
        fill.style.width = 100 * (range[2][place] - range[1][place]) / width + "%";
        text.textContent = shown(range[1][place], 2) + " to " + shown(range[2][place], 2);
        bar.append(fill);
        box.append(label, bar, text);
      });
    };
    slider.addEventListener("input", update);
    update();
  });

  const map = byId("map");
  if (!map || !places.length) return;
  // a candidate's images, its prompt, and its weights as a heat
  const changes = places.flatMap(function (one) {
    return one.weights.map(function (weight, axis) { return Math.abs(weight - data.axes[axis][1]) / data.axes[axis][3]; });
  });
  const most = Math.max(0.05, changes.reduce(function (a, b) { return Math.max(a, b); }, 0));
  const words = data.parts.map(function (part) { return {text: part[0], side: part[1], axis: part[2], weight: part[3]}; });
  data.axes.forEach(function (axis, place) {
    if (axis[2] === "settings") words.push({text: axis[0], side: axis[2], axis: place, weight: axis[1]});
  });
  let told = -1;
  function tell(number) {
    if (number === told) return;
    told = number;
    const one = places[number], cluster = one.cluster < 0 ? "in no cluster" : data.clusters[one.cluster].title;
    byId("who").textContent = (number ? "Candidate " + number : "The original") + ", " + cluster;
    byId("its-prompt").textContent = one.prompt;
    byId("its-negative").textContent = one.negative;
    byId("its-negative").hidden = !one.negative;
    byId("images").replaceChildren.apply(byId("images"), data.images.slice(0, 8).map(function (name, index) {
      const item = document.createElement("li"), link = document.createElement("a"), image = document.createElement("img");
      link.href = image.src = one.folder.split("/").concat(name).map(encodeURIComponent).join("/");
      image.alt = "Image " + (index + 1);
      link.append(image);
      item.append(link);
      return item;
    }));
    byId("heat").replaceChildren();
    let side = "prompt";
    words.forEach(function (word) {
      const span = document.createElement("span"), weight = word.axis < 0 ? word.weight : one.weights[word.axis];
      const change = word.axis < 0 ? 0 : (weight - data.axes[word.axis][1]) / data.axes[word.axis][3];
      if (word.side !== side) byId("heat").append(document.createElement("br"));
      side = word.side;
      span.className = "word" + (change > 0 ? " up" : change < 0 ? " down" : "");
      span.style.setProperty("--a", (0.75 * Math.abs(change) / most).toFixed(2));
      span.textContent = word.text;
      if (change || weight !== 1) {
        const small = document.createElement("small");
        small.textContent = shown(weight, 2);
        span.append(small);
      }
      byId("heat").append(span, " ");
    });
    tiles.forEach(function (tile, index) { tile.classList.toggle("now", index === number); });
  }

  // tiles and outlines
  const svg = map.querySelector("svg"), SVG = "http://www.w3.org/2000/svg";
  const outlines = data.clusters.map(function (cluster, number) {
    const polygon = document.createElementNS(SVG, "polygon"), label = document.createElementNS(SVG, "text");
    const ink = cluster.holds ? 0.32 : 0.12;
    polygon.setAttribute("fill", colour(number));
    polygon.setAttribute("stroke", colour(number));
    polygon.setAttribute("opacity", ink);
    polygon.addEventListener("click", function () { show(number); });
    label.textContent = cluster.title + (cluster.holds ? "" : " (does not hold)");
    label.setAttribute("text-anchor", "middle");
    svg.append(polygon);
    return {polygon: polygon, label: label, members: cluster.outline};
  });
  let focused = 0;
  const tiles = places.map(function (one, number) {
    const tile = document.createElement("button");
    tile.className = "tile" + (one.cluster < 0 ? " loose" : "");
    tile.tabIndex = number ? -1 : 0;
    tile.style.setProperty("--c", colour(one.cluster));
    tile.setAttribute("aria-label", (number ? "Candidate " + number : "The original") + ", " +
      (one.cluster < 0 ? "in no cluster" : data.clusters[one.cluster].title) + ": " + one.prompt);
    tile.addEventListener("pointerenter", function () { tell(number); });
    tile.addEventListener("focus", function () {
      tiles[focused].tabIndex = -1;
      tile.tabIndex = 0;
      focused = number;
      tell(number);
      reveal(one);
    });
    tile.addEventListener("click", function () { tile.focus(); });
    map.append(tile);
    return tile;
  });
  outlines.forEach(function (one) { svg.append(one.label); });
  map.addEventListener("pointerleave", function () { tell(focused); });

  const span = function (key) {
    const all = places.map(function (one) { return one[key]; });
    return [Math.min.apply(null, all), Math.max.apply(null, all)];
  };
  const across = span("x"), up = span("y");
  const middle = {x: (across[0] + across[1]) / 2, y: (up[0] + up[1]) / 2};
  const extent = Math.max(across[1] - across[0], up[1] - up[0]) || 1;
  const base = Math.max(14, Math.min(44, 420 / Math.sqrt(places.length)));
  let zoom = 1, centre = {x: middle.x, y: middle.y};
  function scale() { return zoom * (Math.min(map.clientWidth, map.clientHeight) - base - 40) / extent; }
  function toScreen(one) {
    return [map.clientWidth / 2 + (one.x - centre.x) * scale(), map.clientHeight / 2 - (one.y - centre.y) * scale()];
  }
  function draw() {
    const side = Math.min(2 * data.tile, base * Math.sqrt(zoom)), ratio = side / data.tile;
    tiles.forEach(function (tile, number) {
      const at = toScreen(places[number]), style = tile.style;
      style.width = style.height = side + "px";
      style.transform = "translate(" + (at[0] - side / 2) + "px," + (at[1] - side / 2) + "px)";
      style.backgroundSize = data.columns * data.tile * ratio + "px auto";
      style.backgroundPosition = -(number % data.columns) * side - 2 + "px " + (-Math.floor(number / data.columns) * side - 2) + "px";
    });
    outlines.forEach(function (one) {
      const points = one.members.map(function (member) { return toScreen(places[member]); });
      const xs = points.map(function (point) { return point[0]; }), ys = points.map(function (point) { return point[1]; });
      one.polygon.setAttribute("points", points.map(function (point) { return point.join(","); }).join(" "));
      one.polygon.setAttribute("stroke-width", side + 14);
      one.label.setAttribute("x", Math.min(map.clientWidth - 40, Math.max(40, (Math.min.apply(null, xs) + Math.max.apply(null, xs)) / 2)));
      one.label.setAttribute("y", Math.max(14, Math.min.apply(null, ys) - side / 2 - 10));
    });
  }
  function zoomTo(value, x, y) {
    const before = scale(), at = {x: x === undefined ? map.clientWidth / 2 : x, y: y === undefined ? map.clientHeight / 2 : y};
    const dx = at.x - map.clientWidth / 2, dy = at.y - map.clientHeight / 2;
    zoom = Math.min(40, Math.max(1, value));
    centre = {x: centre.x + dx / before - dx / scale(), y: centre.y - dy / before + dy / scale()};
    if (zoom === 1) centre = {x: middle.x, y: middle.y};
    draw();
  }
  function reveal(one) {
    const at = toScreen(one);
    if (at[0] > 0 && at[1] > 0 && at[0] < map.clientWidth && at[1] < map.clientHeight) return;
    centre = {x: one.x, y: one.y};
    draw();
  }
  function show(number) {
    const example = data.clusters[number].example;
    map.scrollIntoView({block: "nearest"});
    tiles[example].focus({preventScroll: true});
  }
  document.querySelectorAll("[data-show]").forEach(function (button) {
    button.addEventListener("click", function () { show(Number(button.dataset.show)); });
  });
  byId("closer").addEventListener("click", function () { zoomTo(zoom * 1.5); });
  byId("wider").addEventListener("click", function () { zoomTo(zoom / 1.5); });
  byId("whole").addEventListener("click", function () { zoomTo(1); });
  map.addEventListener("wheel", function (event) {
    const box = map.getBoundingClientRect();
    event.preventDefault();
    zoomTo(zoom * Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
  }, {passive: false});
  let held = null;
  map.addEventListener("pointerdown", function (event) { held = {x: event.clientX, y: event.clientY}; });
  window.addEventListener("pointerup", function () { held = null; });
  window.addEventListener("pointercancel", function () { held = null; });
  map.addEventListener("pointermove", function (event) {
    if (!held || !event.buttons) return;
    centre = {x: centre.x - (event.clientX - held.x) / scale(), y: centre.y + (event.clientY - held.y) / scale()};
    held = {x: event.clientX, y: event.clientY};
    draw();
  });
  const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]};
  map.addEventListener("keydown", function (event) {
    if (event.key === "+" || event.key === "-") zoomTo(event.key === "+" ? zoom * 1.5 : zoom / 1.5);
    else if (event.key === "Escape") zoomTo(1);
    else if (ARROWS[event.key]) {
      const way = ARROWS[event.key], from = places[focused];
      let best = -1, least = Infinity;
      places.forEach(function (one, number) {
        const along = (one.x - from.x) * way[0] + (one.y - from.y) * way[1];
        const aside = Math.abs((one.x - from.x) * way[1]) + Math.abs((one.y - from.y) * way[0]);
        const cost = along + 2 * aside;
        if (number !== focused && along > 0 && aside <= along && cost < least) { best = number; least = cost; }
      });
      if (best < 0) return;
      tiles[best].focus({preventScroll: true});
    } else return;
    event.preventDefault();
  });
  new ResizeObserver(draw).observe(map);
  draw();
  tell(0);
})();
