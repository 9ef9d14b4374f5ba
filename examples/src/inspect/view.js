// Receives snapshots from the server, keeps a minute of them, and shows them.

import { bytes, curves, span, spark, timeline } from "/chart.js";

const place = (id) => document.getElementById(id);
let source = null;
let chosen = null;
let paused = false;
let frameStream = null;
/** By connection: rates, and what was in full. */
const known = new Map();

function listen() {
  source?.close();
  source = new EventSource(chosen === null ? "/events" : `/events?connection=${chosen}`);
  source.onmessage = (event) => {
    link("live");
    const sight = JSON.parse(event.data);
    remember(sight);
    if (!paused) show(sight);
    document.body.dataset.ticks = Number(document.body.dataset.ticks ?? 0) + 1;
  };
  source.onerror = () => link("lost");
}

function link(state) {
  const text = paused && state === "live" ? "paused" : state;
  place("link").dataset.state = text;
  place("link").textContent = text;
}

// State.

function remember(sight) {
  const ids = new Set(sight.connections.map((one) => one.id));
  for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
  for (const one of sight.connections) {
    const memory = known.get(one.id) ?? { rates: [], windows: [], streams: new Map(), before: one };
    known.set(one.id, memory);
    const s = (one.age - memory.before.age) / 1000;
    if (s > 0) {
      memory.rate = { in: (one.received - memory.before.received) / s, out: (one.sent - memory.before.sent) / s };
      memory.rates.push(memory.rate.in + memory.rate.out);
      if (memory.rates.length > 120) memory.rates.shift();
    }
    memory.before = one;
  }
  if (sight.shown) rememberFull(known.get(sight.shown.id), sight.shown);
}

function rememberFull(memory, shown) {
  const now = shown.age;
  const least = (side) => shown.live.length ? Math.min(...shown.live.map((one) => one.window[side])) : null;
  const { send, receive, held } = shown.window;
  memory.windows.push({ at: now, send, receive, held, leastSend: least("send"), leastReceive: least("receive") });
  while (memory.windows[0].at < now - 60000) memory.windows.shift();
  const { streams } = memory;
  for (const note of shown.notes) {
    const stream = streams.get(note.id) ?? { id: note.id, first: note.opened ?? now, blocked: [] };
    streams.set(note.id, Object.assign(stream, { note }));
  }
  const live = new Map(shown.live.map((one) => [one.id, one]));
  for (const one of shown.live) {
    const stream = streams.get(one.id) ?? { id: one.id, first: now, blocked: [] };
    streams.set(one.id, stream);
    const wait = waitOf(one, shown);
    if (stream.wait?.kind !== wait.kind || stream.wait.moved !== wait.moved) stream.since = now;
    const last = stream.blocked.at(-1);
    if (wait.blocked) {
      if (last && last[1] === stream.seen) last[1] = now;
      else stream.blocked.push([stream.seen ?? now, now]);
    }
    Object.assign(stream, { wait, seen: now });
  }
  for (const [id, stream] of streams) {
    stream.ended = stream.note?.ended ?? (live.has(id) ? null : stream.ended ?? now);
    if (stream.ended !== null && stream.ended < now - 30000) streams.delete(id);
  }
}

/** What a live stream waits for. `moved` changes with progress: a stream that moves does not wait. */
function waitOf(one, shown) {
  const { window } = one;
  const note = shown.notes.find((note) => note.id === one.id);
  const moved = note ? `${note.received} ${note.sent}` : `${window.send} ${window.receive}`;
  const [app, other] = shown.client ? ["the caller", "the server"] : ["the handler", "the client"];
  const wait = (kind, why, blocked = false) => ({ kind, why, blocked, moved });
  if (one.cut && window.send <= 0) return wait("stream window", `${other} opens no window on this stream: we may send ${bytes(window.send)}`, true);
  if (one.cut && shown.window.send <= 0) return wait("connection window", `${other} opens no window on the connection`, true);
  if (one.cut && shown.unwritten > 0) return wait("transport", `${other} does not read: ${bytes(shown.unwritten)} are not written`, true);
  if (one.cut) return wait("turn", "its turn: content of others goes first");
  if (window.receive <= 0) return wait("release", `${app} to read: it holds ${bytes(window.held)}, and ${other} may send no more`, true);
  if (shown.window.receive <= 0) return wait("release", `${app} to read: the connection holds ${bytes(shown.window.held)}`, true);
  if (shown.client) {
    if (one.local !== "ended") return wait("handler", `${app} to send more of the request`);
    return wait("peer", one.remote === "head" ? `${other} to answer` : `${other} to send more`);
  }
  if (one.remote === "ended") return wait("handler", one.local === "head" ? `${app} to answer` : `${app} to send more`);
  if (window.held > 0) return wait("handler", `${app} to read ${bytes(window.held)}`);
  return wait("peer", `${other} to send more of the request`);
}

// Rendering.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children.map((child) => child ?? ""));
  return made;
}

function show(sight) {
  showTotals(sight);
  showConnections(sight);
  place("ended").replaceChildren(...sight.ended.map((one) =>
    element("li", {}, element("b", { class: one.warning ? "warning" : "" }, one.peer ?? `connection ${one.id}`),
      element("span", {}, `after ${span(one.age)}: ${one.how}`))));
  const { shown } = sight;
  document.querySelector("main").hidden = !shown;
  place("empty").hidden = Boolean(shown);
  if (!shown) return;
  const memory = known.get(shown.id);
  showFacts(shown, memory);
  showWaits(shown, memory);
  showTimeline(shown, memory);
  showWindows(shown, memory);
  showLive(shown, memory);
  showFrames(shown);
  showBudgets(shown);
}

function showTotals({ total, connections }) {
  const sum = (pick) => connections.reduce((all, one) => all + (pick(one) || 0), 0);
  const rate = (side) => bytes(sum((one) => known.get(one.id).rate?.[side]));
  const streams = sum((one) => one.streams);
  const of = total > connections.length ? ` (${connections.length} shown)` : "";
  place("totals").textContent =
    `${total} connection${total === 1 ? "" : "s"}${of} · ${streams} live stream${streams === 1 ? "" : "s"} · in ${rate("in")}/s · out ${rate("out")}/s`;
}

function showConnections({ connections, silent, shown }) {
  const lines = connections.map((one) => {
    const cut = one.cut ? element("span", { class: "stuck" }, `, ${one.cut} cut short`) : "";
    const text = `${one.client ? "client, " : ""}${one.streams} live of ${one.opened}, ${span(one.age)}`;
    const attributes = { "data-connection": one.id, class: one.id === shown?.id ? "chosen" : "", onclick: () => choose(one.id) };
    return element("li", attributes, element("b", {}, one.peer ?? `connection ${one.id}`),
      element("span", {}, text, cut), spark(known.get(one.id).rates));
  });
  const quiet = silent.map((one) => element("li", {}, element("b", {}, one.peer ?? `connection ${one.id}`),
    element("span", { class: "stuck" }, "does not answer: its task does not run")));
  place("connections").replaceChildren(...quiet, ...lines);
}

function choose(id) {
  chosen = id;
  frameStream = null;
  listen();
}

function showFacts(shown, memory) {
  place("peer").textContent = `${shown.peer ?? `connection ${shown.id}`} ${shown.client ? "(we are the client)" : ""}`;
  const { rate } = memory;
  const facts = [
    ["age", span(shown.age)], ["in", `${bytes(rate?.in ?? 0)}/s`], ["out", `${bytes(rate?.out ?? 0)}/s`],
    ["received", bytes(shown.received)], ["sent", bytes(shown.sent)],
    ["streams", `${shown.streams} of ${shown.settings[shown.client ? "remote" : "local"].max_concurrent_streams}`],
    ["opened", shown.opened], ["completed", shown.completed],
    ["reset by the peer", shown.resets_received], ["reset by us", shown.resets_sent],
    ["not written yet", bytes(shown.unwritten)], ["reads", shown.wants_read ? "yes" : "no: output is full"], ["core's heap", bytes(shown.heap)],
  ];
  place("numbers").replaceChildren(...facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, String(value)))));
}

function nameOf(stream, isRedacted) {
  const { note } = stream ?? {};
  if (!note?.method) return isRedacted ? "" : "began before frames were followed";
  return `${note.method} ${note.path ?? "(path hidden)"}`;
}

function showWaits(shown, memory) {
  const waiting = shown.live.map((one) => memory.streams.get(one.id));
  const old = waiting.filter((one) => shown.age - one.since >= 1000 || one.wait.blocked);
  old.sort((one, other) => other.wait.blocked - one.wait.blocked || one.since - other.since);
  const lines = old.slice(0, WAITS_MAX).map((one) =>
    element("li", { class: one.wait.blocked ? "blocked" : "", "data-waits": one.id },
      element("span", { class: "time" }, span(shown.age - one.since)), element("span", {}, `stream ${one.id}`),
      element("span", { class: "cut-off" }, nameOf(one)), element("span", { class: "why" }, one.wait.why)));
  if (old.length > WAITS_MAX) lines.push(element("li", { class: "none" }, `and ${old.length - WAITS_MAX} more`));
  if (!lines.length) lines.push(element("li", { class: "none" }, "No stream waits for longer than a second."));
  place("waits").replaceChildren(...lines);
}

function showTimeline(shown, memory) {
  const now = shown.age;
  const streams = [...memory.streams.values()].sort((one, other) => one.first - other.first || one.id - other.id);
  timeline(place("timeline"), streams.map((stream) => {
    const { note } = stream;
    const to = stream.ended ?? null;
    const parts = [];
    if (note?.opened != null) {
      parts.push(["request", note.opened, note.requested ?? note.responded ?? to]);
      const asked = note.requested ?? note.responded;
      if (asked != null && (note.responded ?? now) > asked) parts.push(["handler", asked, note.responded ?? to]);
    }
    if (note?.responded != null) parts.push(["response", note.responded, to]);
    for (const [start, end] of stream.blocked) parts.push(["blocked", start, end]);
    const what = note?.method ? nameOf(stream) : "";
    const status = note?.status ? ` ${note.status}` : "";
    return { id: stream.id, label: `${stream.id} ${what}${status}${note?.reset ? ` ${note.reset}` : ""}`, from: stream.first, to, parts, reset: Boolean(note?.reset) };
  }), now, 30000, chooseStream);
}

function showWindows(shown, memory) {
  const series = (pick, name, kind, dashed = false) => {
    const points = memory.windows.map((one) => [one.at, one[pick]]).filter(([, value]) => value !== null);
    return { points, name, kind, dashed, filled: !dashed };
  };
  curves(place("send"), [series("send", "connection", "response"), series("leastSend", "narrowest stream", "blocked", true)], shown.age, 60000);
  curves(place("receive"), [series("receive", "connection", "request"), series("leastReceive", "narrowest stream", "blocked", true),
    series("held", "held by us", "handler", true)], shown.age, 60000);
}

function gauge(value, full, kind) {
  const part = Math.max(0, Math.min(1, full ? value / full : 0));
  const fill = element("i");
  fill.style.width = `${100 * part}%`;
  return element("span", { class: `gauge ${part < 0.1 ? "blocked" : kind}` }, fill);
}

function showLive(shown, memory) {
  const { remote, local } = shown.settings;
  const rows = shown.live.slice(0, LIVE_MAX).map((one) => {
    const stream = memory.streams.get(one.id);
    const window = (value, full, kind) => element("td", {}, gauge(value, full, kind), bytes(value));
    return element("tr", { class: stream.wait.blocked ? "blocked" : "", "data-stream": one.id, onclick: () => chooseStream(one.id) },
      element("td", { class: "number" }, one.id), element("td", {}, nameOf(stream)), element("td", {}, one.state), element("td", {}, one.priority),
      window(one.window.send, remote.initial_window_size, "response"), window(one.window.receive, local.initial_window_size, "request"),
      element("td", { class: "number" }, bytes(one.window.held)), element("td", { class: "number" }, bytes(one.send_left)),
      element("td", {}, stream.wait.why));
  });
  place("live").replaceChildren(...rows);
  const { length } = shown.live;
  place("live-count").textContent = length > LIVE_MAX ? `the first ${LIVE_MAX} of ${length}` : String(length);
}

function chooseStream(id) {
  frameStream = id;
  place("all-frames").hidden = false;
}

function showFrames(shown) {
  const frames = shown.frames.filter((one) => frameStream === null || one.stream === frameStream).reverse();
  place("frames").replaceChildren(...frames.map((one) => {
    const isAlarm = one.name === "GOAWAY" || one.name === "RST_STREAM" || one.detail.includes("MALFORMED");
    return element("tr", { class: `${one.sent ? "sent" : "received"}${isAlarm ? " alarm" : ""}`, "data-frame": one.number },
      element("td", { class: "number" }, `${(one.at / 1000).toFixed(3)} s`), element("td", {}, one.sent ? "→ sent" : "← received"),
      element("td", { class: "number" }, one.stream || ""), element("td", {}, one.name),
      element("td", { class: "number" }, one.len ? String(one.len) : ""), element("td", {}, one.detail));
  }));
  const which = frameStream === null ? "newest first" : `of stream ${frameStream}`;
  place("frames-note").textContent = `${which}${shown.shows_fields ? "" : "; without fields: the connection is older than this look"}`;
}

function showBudgets(shown) {
  place("rate_limits").replaceChildren(...shown.rate_limits.map(({ name, tokens, burst }) =>
    element("div", {}, name.replaceAll("_", " "), element("span", {}, `${tokens} of ${burst}`), gauge(tokens, burst, "response"))));
}

place("pause").addEventListener("click", () => {
  paused = !paused;
  place("pause").textContent = paused ? "Go on" : "Pause";
  link("live");
});
place("all-frames").addEventListener("click", () => {
  frameStream = null;
  place("all-frames").hidden = true;
});

const WAITS_MAX = 8;
const LIVE_MAX = 100;
listen();
