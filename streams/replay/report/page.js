"use strict";
// Draws what stands in #data. All text goes in as text: nothing in a name can become markup.
const data = JSON.parse(document.getElementById("data").textContent);
const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const shown = (value) => (typeof value === "number" ? numbers.format(value) : value ?? "");

function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function draw(parent, name, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

const colour = (at) => `var(--s${at % 6})`;

/** Round numbers from 0 to at least `most`: some four of them. */
function steps(most, whole) {
  const rough = (most || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  if (whole) step = Math.max(1, Math.ceil(step));
  const found = [];
  for (let at = 0; at === 0 || found.at(-1) < most; at++) found.push(at * step);
  return found;
}

const sum = (values) => values.reduce((a, b) => a + b, 0);
const at = (chart, i) => chart.series.map((each) => each.values[i]);
const told = (chart, i) =>
  `${chart.labels[i]}: ${chart.series.map((each) => `${chart.series.length > 1 ? each.name + " " : ""}${shown(each.values[i])}`).join(", ")}`;

/** Columns or lines over an axis that goes from left to right. */
function drawUpright(svg, chart, width) {
  const lines = chart.kind === "lines";
  const count = chart.labels.length;
  const most = Math.max(...chart.labels.map((_, i) => (lines ? Math.max(...at(chart, i)) : sum(at(chart, i)))));
  const marks = steps(most, true);
  const [left, right, top, bottom] = [52, 14, 26, 48];
  const height = 270;
  const x = (i) => left + ((width - left - right) * (i + 0.5)) / count;
  const y = (value) => height - bottom - ((height - top - bottom) * value) / marks.at(-1);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (const mark of marks) {
    draw(svg, "line", { class: mark ? "grid" : "axis", x1: left, x2: width - right, y1: y(mark), y2: y(mark) });
    draw(svg, "text", { x: left - 6, y: y(mark) + 4, "text-anchor": "end" }, short.format(mark));
  }
  draw(svg, "text", { x: 4, y: 13 }, chart.y);
  draw(svg, "text", { x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle" }, chart.x);
  let free = -Infinity; // the end of the last label: those that would lie on it are left out
  for (const [place, label] of chart.ticks) {
    const half = label.length * 3.5 + 4;
    const middle = Math.min(x(place), width - half);
    draw(svg, "line", { class: "axis", x1: x(place), x2: x(place), y1: y(0), y2: y(0) + 4 });
    if (middle - half < free) continue;
    free = middle + half;
    draw(svg, "text", { x: middle, y: y(0) + 17, "text-anchor": "middle" }, label);
  }
  if (lines) chart.series.forEach((series, s) => {
    const points = series.values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`);
    draw(svg, "polyline", { class: "line mark", points: points.join(" "), stroke: colour(s), "stroke-dasharray": ["", "7 3", "2 3"][s % 3] });
  });
  const each = (width - left - right) / count;
  for (let i = 0; i < count; i++) {
    let from = 0;
    if (!lines) chart.series.forEach((series, s) => {
      const value = series.values[i];
      const tall = y(from) - y(from + value);
      if (value) draw(svg, "rect", { class: "mark", x: x(i) - each * 0.42, width: each * 0.84, y: y(from + value), height: Math.max(tall, 1), fill: colour(s) });
      from += value;
    });
    const hover = draw(svg, "rect", { x: x(i) - each / 2, width: each, y: top, height: height - top - bottom, fill: "transparent" });
    draw(hover, "title", {}, told(chart, i));
  }
}

/** Bars that lie, a name above each. */
function drawLying(svg, chart, width) {
  const count = chart.labels.length;
  const most = chart.most || Math.max(...chart.labels.map((_, i) => sum(at(chart, i))));
  const whole = chart.series.every((each) => each.values.every(Number.isInteger)) && !chart.most;
  const marks = steps(most, whole);
  const [left, right, top, row, bottom] = [4, 16, 20, 36, 42];
  const height = top + row * count + bottom;
  const x = (value) => left + ((width - left - right) * value) / marks.at(-1);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  draw(svg, "text", { x: left, y: 13 }, chart.y);
  for (const mark of marks) {
    draw(svg, "line", { class: mark ? "grid" : "axis", x1: x(mark), x2: x(mark), y1: top, y2: height - bottom });
    const anchor = mark === 0 ? "start" : mark === marks.at(-1) ? "end" : "middle";
    draw(svg, "text", { x: x(mark), y: height - bottom + 16, "text-anchor": anchor }, short.format(mark));
  }
  draw(svg, "text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, chart.x);
  for (let i = 0; i < count; i++) {
    const y = top + row * i;
    const room = Math.floor((width - left - right - 90) / 7);
    const name = chart.labels[i].length > room ? chart.labels[i].slice(0, room - 1) + "…" : chart.labels[i];
    draw(svg, "text", { class: "label", x: left + 4, y: y + 14 }, name);
    draw(svg, "text", { class: "value", x: width - right, y: y + 14, "text-anchor": "end" }, shown(Math.round(sum(at(chart, i)) * 100) / 100));
    let from = 0;
    chart.series.forEach((series, s) => {
      const value = series.values[i];
      if (value) draw(svg, "rect", { class: "mark", x: x(from), width: Math.max(x(from + value) - x(from), 1), y: y + 18, height: 12, fill: colour(s) });
      from += value;
    });
    const hover = draw(svg, "rect", { x: left, width: width - left - right, y, height: row, fill: "transparent" });
    draw(hover, "title", {}, told(chart, i));
  }
}

function numbersOf(chart) {
  const head = make("tr", {}, ...[chart.kind === "bars" ? chart.y : chart.x, ...chart.series.map((each) => each.name)]
    .map((text, i) => make("th", { scope: "col", class: i ? "plain number" : "plain" }, text)));
  const body = chart.labels.map((label, i) =>
    make("tr", {}, make("td", {}, label), ...at(chart, i).map((value) => make("td", { class: "number" }, shown(value)))));
  const table = make("table", {}, make("caption", {}, `${chart.title}, in numbers`), make("thead", {}, head), make("tbody", {}, ...body));
  return make("details", {}, make("summary", {}, "Numbers"), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${chart.title}, in numbers` }, table));
}

function addChart(chart) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${chart.title}. ${chart.y}, ${chart.x}. The numbers stand below.`);
  const wide = chart.labels.length > 40 ? "wide" : "";
  const figure = make("figure", { id: chart.id, class: wide }, make("figcaption", {}, chart.title));
  if (chart.series.length > 1) figure.append(make("ul", { class: "legend" }, ...chart.series.map((each, s) =>
    make("li", {}, make("span", { style: `background:${colour(s)}` }), each.name))));
  figure.append(svg, numbersOf(chart));
  document.getElementById("charts").append(figure);
  let drawn = 0;
  const redraw = () => {
    const width = Math.max(260, Math.round(svg.clientWidth));
    if (width === drawn) return;
    drawn = width;
    svg.replaceChildren();
    (chart.kind === "bars" ? drawLying : drawUpright)(svg, chart, width);
  };
  redraw();
  new ResizeObserver(redraw).observe(figure);
}

/** Order of two cells: numbers by size, texts by letters, nothing last. */
function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
}

function addTable(table) {
  const isNumber = table.heads.map((_, column) => table.rows.some((row) => typeof row[column] === "number"));
  const body = make("tbody");
  const status = make("p", { class: "note", role: "status" });
  const input = make("input", { type: "search", id: `filter-${table.id}`, placeholder: "filter", autocomplete: "off", "aria-label": `Filter ${table.caption}` });
  let sorted = { column: -1, down: false };
  const heads = table.heads.map((text, column) => {
    const button = make("button", { type: "button" }, text);
    const head = make("th", { scope: "col", "aria-sort": "none", class: isNumber[column] ? "number" : "" }, button);
    button.addEventListener("click", () => {
      const down = sorted.column === column ? !sorted.down : isNumber[column]; // of numbers one wants the largest
      sorted = { column, down };
      heads.forEach((each, i) => each.setAttribute("aria-sort", i !== column ? "none" : down ? "descending" : "ascending"));
      fill();
    });
    return head;
  });
  function fill() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = table.rows.filter((row) => {
      const text = row.map(shown).join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    const { column, down } = sorted;
    if (column >= 0) rows.sort((a, b) =>
      a[column] === null || b[column] === null ? compare(a[column], b[column]) : (down ? -1 : 1) * compare(a[column], b[column]));
    body.replaceChildren(...rows.map((row) =>
      make("tr", {}, ...row.map((cell, i) => make("td", { class: isNumber[i] ? "number" : "" }, shown(cell))))));
    const found = words.length ? `${numbers.format(rows.length)} of ${numbers.format(table.rows.length)} rows match. ` : "";
    status.textContent = found + table.note;
  }
  input.addEventListener("input", fill);
  const grid = make("table", { id: `table-${table.id}` }, make("caption", {}, table.caption), make("thead", {}, make("tr", {}, ...heads)), body);
  fill();
  document.getElementById("tables").append(make("div", { class: "table" },
    make("div", { class: "tools" }, make("strong", { "aria-hidden": "true" }, table.caption), input),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": table.caption }, grid), status));
}

const system = matchMedia("(prefers-color-scheme: dark)");
function paint() {
  const wanted = document.querySelector("input[name=theme]:checked").value;
  document.documentElement.classList.toggle("dark", wanted ? wanted === "dark" : system.matches);
}
system.addEventListener("change", paint);
for (const each of document.querySelectorAll("input[name=theme]")) each.addEventListener("change", paint);
paint();
data.charts.forEach(addChart);
data.tables.forEach(addTable);
