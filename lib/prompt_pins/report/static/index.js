// The index of runs: search, state, order, and a table that sets chosen runs side by side.
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const list = document.getElementById("runs"), rows = Array.from(list.querySelectorAll(".run"));
  const find = document.getElementById("find"), state = document.getElementById("state"), order = document.getElementById("order"), task = document.getElementById("task");
  function arrange() {
    const text = find.value.trim().toLowerCase();
    const gain = function (row) { return row.dataset.gain === "" ? -Infinity : Number(row.dataset.gain); };
    const sorted = rows.slice();
    if (order.value === "oldest") sorted.reverse();
    if (order.value === "gain") sorted.sort(function (a, b) { return gain(b) - gain(a); });
    sorted.forEach(function (row) {
      row.hidden = state.value !== "" && row.dataset.state !== state.value ||
        task.value !== "" && row.dataset.task !== task.value || !row.textContent.toLowerCase().includes(text);
      list.append(row);
    });
  }
  [find, task, state, order].forEach(function (control) { control.addEventListener("input", arrange); });
  const button = document.getElementById("compare");
  const chosen = function () { return Array.from(list.querySelectorAll("input:checked")); };
  list.addEventListener("change", function () { button.disabled = chosen().length < 2; });
  const shown = function (value) {
    return value == null ? "–" : typeof value === "number" && !Number.isInteger(value) ? value.toFixed(4) : String(value);
  };
  function cell(tag, text) { const node = document.createElement(tag); node.textContent = text; return node; }
  button.addEventListener("click", function () {
    const runs = chosen().map(function (box) { return data[box.value]; });
    const table = document.createElement("table");
    const add = function (name, values) {
      const line = document.createElement("tr");
      line.append(cell("th", name));
      values.forEach(function (value) { line.append(cell("td", shown(value))); });
      table.append(line);
    };
    Object.keys(runs[0]).filter(function (key) { return key !== "weights"; }).forEach(function (key) {
      add(key, runs.map(function (run) { return run[key]; }));
    });
    const seen = new Set();
    runs.forEach(function (run) { run.weights.forEach(function (pair) { seen.add(pair[0]); }); });
    seen.forEach(function (word) {
      add("weight of " + word, runs.map(function (run) {
        const found = run.weights.filter(function (pair) { return pair[0] === word; });
        return found.length ? found.map(function (pair) { return pair[1].toFixed(3); }).join(", ") : null;
      }));
    });
    const place = document.getElementById("compared");
    place.replaceChildren(cell("h2", "Comparison"), table);
    place.scrollIntoView({ block: "nearest" });
  });
})();
