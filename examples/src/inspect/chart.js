// Charts: streams as bars over time, windows as curves, and a small curve beside each
// connection.

const SVG = "http://www.w3.org/2000/svg";

/** Makes an SVG element. */
export function shape(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** A number of bytes, in three digits or so. */
export function bytes(count) {
  if (count === null || count === undefined) return "";
  let unit = 0;
  let value = Math.abs(count);
  while (value >= 1000 && unit < 4) { value /= 1024; unit += 1; }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${count < 0 ? "−" : ""}${value.toFixed(digits)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

/** A duration in milliseconds, in words. */
export function span(ms) {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 60) return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
  const min = Math.floor(s / 60);
  return min < 60 ? `${min} min ${Math.round(s % 60)} s` : `${Math.floor(min / 60)} h ${min % 60} min`;
}

/** Curves over the last `length` ms up to `now`. Each: `{ points: [[at, value], ...], name, kind, dashed }`. */
export function curves(box, series, now, length) {
  const width = Math.max(200, box.clientWidth), height = 150;
  const left = 58, right = 12, top = 8, bottom = 20;
  const most = Math.max(1, ...series.flatMap((one) => one.points.map(([, value]) => value)));
  const max = niceMax(most);
  const x = (at) => left + (width - left - right) * Math.max(0, 1 - (now - at) / length);
  const y = (value) => top + (height - top - bottom) * (1 - Math.max(0, value) / max);
  const svg = shape("svg", { width, height, role: "img" });
  for (const part of [0, 0.5, 1]) {
    const at = y(max * part);
    svg.append(shape("line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at }));
    svg.append(shape("text", { x: left - 8, y: at + 4, "text-anchor": "end" }, bytes(max * part)));
  }
  times(svg, x, now, length, height, 15000);
  for (const { points, kind, dashed, filled } of series) {
    if (points.length < 2) continue;
    // A window keeps its value until it changes.
    const line = points.map(([at, value], i) => `${i ? `H${x(at)} V` : `M${x(at)} `}${y(value)}`).join("");
    if (filled) {
      svg.append(shape("path", { class: `area ${kind}`, d: `${line}V${y(0)}H${x(points[0][0])}Z` }));
    }
    svg.append(shape("path", { class: `curve ${kind}${dashed ? " dashed" : ""}`, d: line }));
  }
  const legend = document.createElement("ul");
  legend.className = "legend";
  for (const { points, kind, name } of series) {
    const item = document.createElement("li");
    item.className = kind;
    item.textContent = `${name}: ${points.length ? bytes(points.at(-1)[1]) || "none" : "none"}`;
    legend.append(item);
  }
  box.replaceChildren(legend, svg);
}

/** Streams as bars. Each: `{ id, label, from, to, parts: [[kind, from, to], ...], reset }`; `to` is null while it lives. */
export function timeline(box, streams, now, length, choose) {
  const width = Math.max(300, box.clientWidth);
  const left = 6, right = 12, rowHeight = 19, rows = [];
  const x = (at) => left + (width - left - right) * Math.min(1, Math.max(0, 1 - (now - at) / length));
  const bars = shape("g", {});
  for (const stream of streams) {
    const from = x(stream.from), to = Math.max(from + 3, x(stream.to ?? now));
    let row = rows.findIndex((end) => end <= from);
    if (row < 0) row = rows.length;
    if (row >= ROWS_MAX) continue;
    rows[row] = to + 2;
    bars.append(bar(stream, x, from, to, 2 + row * rowHeight, rowHeight - 5, now, choose));
  }
  const height = Math.max(3, rows.length) * rowHeight + 24;
  const svg = shape("svg", { width, height, role: "img" });
  times(svg, x, now, length, height, 5000);
  svg.append(bars);
  box.replaceChildren(svg);
}

function bar(stream, x, from, to, top, height, now, choose) {
  const group = shape("g", { "data-stream": stream.id });
  group.append(shape("title", {}, `${stream.label}, ${span((stream.to ?? now) - stream.from)}`));
  group.append(shape("rect", { class: "base", x: from, y: top, width: to - from, height, rx: 3 }));
  for (const [kind, start, end] of stream.parts) {
    const left = x(start), width = Math.max(1.5, x(end ?? stream.to ?? now) - left);
    if (left + width > from) group.append(shape("rect", { class: `bar ${kind}`, x: left, y: top, width, height, rx: 3 }));
  }
  if (stream.reset) {
    const d = `M${to - 4} ${top + 3}l8 8m0 -8l-8 8`;
    group.append(shape("path", { class: "reset", d }));
  }
  if (to - from > 60) {
    const text = stream.label.slice(0, Math.floor((to - from - 10) / 6.2));
    group.append(shape("text", { class: "label", x: Math.max(from, x(now - 1e9)) + 6, y: top + 11 }, text));
  }
  group.addEventListener("click", () => choose(stream.id));
  return group;
}

/** A curve without words. */
export function spark(values) {
  const svg = shape("svg", { width: 70, height: 22 });
  const max = Math.max(1, ...values);
  const point = (value, i) => `${(70 * i) / Math.max(1, values.length - 1)} ${20 - (18 * value) / max}`;
  if (values.length > 1) svg.append(shape("path", { class: "curve response", d: `M${values.map(point).join("L")}` }));
  return svg;
}

function times(svg, x, now, length, height, step) {
  for (let ago = 0; ago <= length; ago += step) {
    const at = x(now - ago);
    svg.append(shape("line", { class: "grid", x1: at, x2: at, y1: 0, y2: height - 18 }));
    const anchor = ago === 0 ? "end" : ago === length ? "start" : "middle";
    svg.append(shape("text", { x: at, y: height - 5, "text-anchor": anchor }, ago ? `−${ago / 1000} s` : "now"));
  }
}

/** The next number that is a power of two, or half as much again. */
function niceMax(value) {
  const power = 2 ** Math.floor(Math.log2(value));
  return value <= power ? power : value <= 1.5 * power ? 1.5 * power : 2 * power;
}

const ROWS_MAX = 24;
