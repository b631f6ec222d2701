// What the viewer asks of the server, and the answers in the shape that is drawn.
// A channel is known by its labels; a grid is the buckets that all rows of one
// answer share: {from, width, n, t} with times in ms and t the buckets' middles.
import { api } from "./api.js";
import { FIELDS, key as keyOf, name, selector, selectors } from "./channels.js";

const ask = (path, query, signal) => api(path, query, { signal });

// Why a bucket shows no number, or shows one with less behind it.
export const Q = { ok: 0, over: 1, under: 2, burnout: 3, nodata: 4, math: 5, other: 6, gap: 9 };
const CODE = { over: Q.over, under: Q.under, burnout: Q.burnout, nodata: Q.nodata, math: Q.math };
export const WORD = { 1: "value.over", 2: "value.under", 3: "value.burnout", 4: "value.nodata", 5: "value.math", 6: "value.NaN", 9: "viewer.gap" };
export const codeOf = value => typeof value === "number" ? Q.ok : CODE[value] || Q.other;

// --- channels -------------------------------------------------------------------
export function channelOf(c) {
  return { key: keyOf(c), labels: c.labels, properties: c.properties || {}, instrument: c.labels.instrument, name: name(c), unit: c.properties?.unit || "", dec: c.properties?.decimals ?? null, group: c.properties?.group || "" };
}
export const path = c => [c.group, c.instrument, c.name === c.labels.channel ? c.name : `${c.name} (${c.labels.channel})`].filter(Boolean);
export const channels = async (match, signal) => (await ask("channels", { match }, signal)).channels.map(c => ({ ...channelOf(c), first: c.first, last: c.last, samples: c.samples }));

// One selector that names all of the channels and perhaps more, for streams: a
// browser holds few connections to a host.
const quoteRegex = s => s.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");
const oneOf = (label, values) => { const all = [...new Set(values)]; return all.length === 1 ? `${label}=${JSON.stringify(all[0])}` : `${label}=~${JSON.stringify(all.map(quoteRegex).join("|"))}`; };
export const cover = list => `{${oneOf("instrument", list.map(c => c.labels.instrument))},${oneOf("channel", list.map(c => c.labels.channel))}}`;

// matchesOf gives selectors that name the channels in their order.
export function matchesOf(list) {
  const runs = []; const base = c => selector({ ...c.labels, channel: "" });
  for (const c of list) runs.length && base(runs.at(-1)[0]) === base(c) ? runs.at(-1).push(c) : runs.push([c]);
  return runs.flatMap(run => selectors(run).map(s => s.match));
}
// literal reads a selector of equalities, where the channel may be a list of plain
// names, without asking the server; null for any other.
export function literal(match) {
  const labels = {}; let names = null, bad = false;
  const rest = match.trim().replace(/^\{|\}$/g, "").replace(/\s*([A-Za-z_][\w.:-]*)\s*(=~|=)\s*("(?:[^"\\]|\\.)*")\s*,?/g, (_, label, op, quoted) => {
    let text = ""; try { text = JSON.parse(quoted); } catch { bad = true; }
    if (op === "=") { labels[label] = text; if (label === "channel") names = [text]; } else if (label === "channel" && /^(?:[^\\.+*?()[\]{}^$]|\\[^\w\s])*$/.test(text)) names = (text.match(/(?:\\.|[^\\|])+/g) || []).map(s => s.replace(/\\(.)/g, "$1")); else bad = true;
    return "";
  });
  if (bad || rest.trim() || !names || labels.instrument == null) return null;
  return names.map(channel => channelOf({ labels: { ...labels, channel } }));
}

// --- the view -------------------------------------------------------------------
const FIRST = -9.2e12; // ms; the server keeps 64 bits of nanoseconds
const ns = at => { const ms = Math.max(FIRST, at); return (BigInt(Math.floor(ms)) * 1000000n + BigInt(Math.round((ms - Math.floor(ms)) * 1e6))).toString(); };

// view asks for all channels in buckets of one width and gives the rows by key,
// with the channels that are not there.
export async function view(list, from, to, buckets, signal, fields = FIELDS) {
  const unit = (to - from) / buckets >= 1 ? "ms" : "us", perMs = unit === "ms" ? 1 : 1e3, missing = [], rows = new Map();
  let grid = null;
  await Promise.all(selectors(list).map(async s => {
    let body;
    try { body = await ask("view", { match: s.match, fields, from: ns(from), to: ns(to), buckets, unit }, signal); } catch (e) {
      if (e.code === "no_channel") { missing.push(...s.channels); return; }
      throw e;
    }
    grid ||= makeGrid(body.from / perMs, body.width / perMs, body.channels[0]?.count.length || 0);
    const wanted = new Map(s.channels.map(c => [c.key, c]));
    for (const c of body.channels) { const key = keyOf(c); if (!wanted.delete(key)) continue; rows.set(key, { channel: channelOf(c), v: columnsOf(c, grid) }); }
    missing.push(...wanted.values());
  }));
  return { grid, rows, missing };
}
function makeGrid(from, width, n) { const g = { from, width, n, t: [] }; extend(g, n); return g; }
function extend(g, n) { for (let i = g.t.length; i < n; i++) g.t.push(g.from + (i + .5) * g.width); g.n = g.t.length; }
const number = v => typeof v === "number" ? v : null;
function columnsOf(c, grid) {
  const of = list => (list || []).map(number), sum = of(c.sum);
  return { grid, count: c.count, quality: c.quality, min: of(c.min), max: of(c.max), sum, last: of(c.last), avg: sum.map((x, i) => x == null ? null : x / c.count[i]), mean: [], q: new Uint8Array(0), words: new Map(), stats: { count: 0 } };
}

// settle says for each empty bucket whether nothing was due there (undefined: the
// line joins) or something was and is missing (null: the line breaks), and sums
// up the buckets whose middle lies in [from, to]. `now` ends what can be due.
export function settle(v, from, to, now) {
  const { grid, count, quality, avg } = v;
  extend(grid, Math.min(grid.n + 5000, Math.ceil((Math.min(now, to) - grid.from) / grid.width)));
  const n = grid.n, mean = new Array(n), q = new Uint8Array(n), at = [];
  for (let i = 0; i < n; i++) {
    const c = count[i] || 0, bad = quality[i] || 0;
    if (c || bad) at.push(i);
    if (c && avg[i] != null) { mean[i] = avg[i]; if (bad) q[i] = v.words.get(i) || 0; } else if (c || bad) { mean[i] = null; q[i] = v.words.get(i) || Q.other; }
  }
  const end = Math.max(0, Math.min(n, Math.floor((Math.min(now, to) - grid.from) / grid.width)));
  const hole = (a, b) => { for (let i = a; i < b; i++) { mean[i] = null; q[i] = Q.gap; } };
  if (!at.length) hole(0, end);
  else {
    const due = pace(at, count, quality), first = due(0).gap, last = due(at.length - 1).gap;
    if (first && at[0] >= first) hole(0, at[0]);
    for (let k = 0; k + 1 < at.length; k++) {
      const a = at[k] + 1, b = at[k + 1], empty = b - a; if (!empty) continue;
      if (due(k).gap && empty >= due(k).gap) hole(a, b);
      else if (mean[a - 1] === null && q[a - 1] === q[b] && mean[b] === null) { mean.fill(null, a, b); q.fill(q[b], a, b); } // one spell
    }
    if (last && end - at.at(-1) - 1 >= 1.5 * last) hole(at.at(-1) + 1, end);
  }
  v.mean = mean; v.q = q; v.stats = sumUp(v, from, to); v.step = v.pace = 0;
  if (at.length > 1) { const due = pace(at, count, quality); v.step = due(at.length >> 1).step * grid.width; v.pace = due(at.length - 1).gap / 2 * grid.width; } // the interval between samples, in the middle and lately; ms
  v.dense = count.some(c => c > 1); // its buckets hold means of several
}
// pace gives the interval between samples around the k-th occupied bucket, in
// buckets, and how many empty ones are a gap there: the median of the distances
// nearby, on the slower side of k, so that an instrument may change its interval;
// far more where it measures at no fixed interval. 0: not known.
function pace(at, count, quality) {
  const near = (a, b) => {
    const d = []; for (let i = Math.max(0, a); i < Math.min(at.length - 1, b); i++) d.push(at[i + 1] - at[i]);
    if (!d.length) return [0, 0];
    d.sort((x, y) => x - y); const middle = d[d.length >> 1], long = d[Math.floor(d.length * .85)]; return [middle, long >= middle + 2 && long > middle * 1.5 ? long * 10 : middle * 2];
  };
  return k => {
    const before = near(k - 10, k), after = near(k + 1, k + 11), step = Math.max(before[0], after[0]), gap = Math.max(before[1], after[1]);
    if (gap !== 2) return { step, gap };
    const held = []; for (let i = Math.max(0, k - 3); i < Math.min(at.length, k + 4); i++) held.push((count[at[i]] || 0) + (quality[at[i]] || 0));
    const each = Math.max(1, held.sort((a, b) => a - b)[held.length >> 1]); return { step: 1 / each, gap: Math.max(1, 2 / each) };
  };
}
function sumUp(v, from, to) {
  const { grid, count, quality, min, max, sum, last } = v, a = Math.max(0, Math.ceil((from - grid.from) / grid.width - .5)), b = Math.min(grid.n, Math.ceil((to - grid.from) / grid.width));
  let lo = Infinity, hi = -Infinity, total = 0, cnt = 0, bad = 0, end = null;
  for (let i = a; i < b; i++) {
    bad += quality[i] || 0; if (!count[i]) continue;
    cnt += count[i]; if (min[i] != null && min[i] < lo) lo = min[i]; if (max[i] != null && max[i] > hi) hi = max[i];
    total += sum[i] ?? 0; end = last[i];
  }
  return lo <= hi ? { count: cnt, bad, min: lo, max: hi, mean: total / cnt, last: end } : { count: 0, bad };
}

// words asks which word stands where a bucket holds rows without a number: the
// view counts them, the table names them. At most 24 runs at once, newest first;
// an answer is kept while the run is the same.
const known = new Map();
export async function words(rows, from, to, signal) {
  const want = [];
  for (const { channel, v } of rows) {
    const { grid } = v; let run = null, apart = false; // apart: numbers have come since
    for (let i = 0; i < grid.n; i++) {
      if (v.quality[i] && !v.words.has(i)) {
        if (run && (!apart || i - run.b <= 3)) run.b = i; else { run = { channel, v, a: i, b: i }; want.push(run); }
        apart = false;
      }
      apart ||= v.count[i] > 0;
    }
  }
  const seen = want.filter(r => r.v.grid.from + r.b * r.v.grid.width >= from && r.v.grid.from + r.a * r.v.grid.width <= to);
  let found = false;
  await Promise.all(seen.sort((x, y) => y.a - x.a).slice(0, 24).map(async run => {
    const { channel, v, a, b } = run, { grid } = v, lo = grid.from + a * grid.width, hi = grid.from + (b + 1) * grid.width, id = `${channel.key} ${grid.width} ${lo}`;
    if (!known.has(id)) {
      if (known.size > 2000) known.clear();
      const body = await ask("table", { match: selector(channel.labels), from: ns(lo), to: ns(hi), limit: 200, unit: grid.width < 1 ? "us" : "ms" }, signal);
      const per = body.unit === "us" ? 1e3 : 1;
      known.set(id, body.times.map((t, i) => [t / per, codeOf(body.rows[i][0])]).filter(x => x[1]));
    }
    const list = known.get(id); let code = list[0]?.[1] || Q.other; const by = new Map(list.map(([t, c]) => [Math.floor((t - grid.from) / grid.width), c]));
    for (let i = a; i <= b; i++) if (v.quality[i]) { code = by.get(i) || code; v.words.set(i, code); found = true; }
  }));
  return found;
}

// append adds a sample that has just arrived to its bucket of a row.
export function append(v, time, x) {
  const i = bucketOf(v, time); if (i < 0) return;
  if (typeof x !== "number") { v.quality[i] = (v.quality[i] || 0) + 1; v.words.set(i, codeOf(x)); return; }
  const c = v.count[i] = (v.count[i] || 0) + 1;
  v.min[i] = c > 1 ? Math.min(v.min[i], x) : x; v.max[i] = c > 1 ? Math.max(v.max[i], x) : x;
  v.sum[i] = (c > 1 ? v.sum[i] : 0) + x; v.avg[i] = v.sum[i] / c; v.last[i] = x;
}
// ensure appends a sample unless the bucket shows it already: it arrived while the
// row was asked for. A number like the bucket's last counts as shown; the next
// answer is exact.
export function ensure(v, time, x) {
  const i = v ? bucketOf(v, time) : -1; if (i < 0) return;
  if (typeof x === "number" ? !(v.count[i] && v.last[i] === x) : !v.quality[i]) append(v, time, x);
}
function bucketOf({ grid }, time) {
  const i = Math.floor((time - grid.from) / grid.width); if (i < 0 || i > grid.n + 5000) return -1;
  if (i >= grid.n) extend(grid, i + 1);
  return i;
}
// at gives a row's number at a time, or the code of why there is none.
export function at(v, ms) {
  const { grid } = v; let i = Math.floor((ms - grid.from) / grid.width); i = Math.max(0, Math.min(grid.n - 1, i));
  while (i > 0 && v.mean[i] === undefined) i--;
  return v.mean[i] == null ? { q: v.q[i] || Q.gap } : { v: v.mean[i], q: 0, computed: v.count[i] > 1 };
}
// runsOf gives [first, last, code] of each run of one code for which pred holds.
export function runsOf(v, pred) {
  const out = []; let a = -1;
  for (let i = 0; i <= v.q.length; i++) { const ok = i < v.q.length && pred(v.q[i], i); if (a >= 0 && (!ok || v.q[i] !== v.q[a])) { out.push([a, i - 1, v.q[a]]); a = -1; } if (ok && a < 0) a = i; }
  return out;
}

// gapsOf gives [from, to] of each stretch in which one of the settled rows has a
// gap, but for what lies before the first sample.
export function gapsOf(rows) {
  if (!rows.length) return [];
  const { grid } = rows[0], began = rows.map(v => v.q.findIndex((_, i) => v.count[i] || v.quality[i]));
  const any = { q: Array.from(rows[0].q, (_, i) => rows.some((v, k) => v.q[i] === Q.gap && began[k] >= 0 && i > began[k]) ? Q.gap : 0) };
  return runsOf(any, q => q === Q.gap).map(([i, j]) => [grid.from + i * grid.width, grid.from + (j + 1) * grid.width]);
}

// --- latest, table, alarms --------------------------------------------------------
export async function latest(list, signal) {
  const out = new Map();
  await Promise.all(selectors(list).map(async s => {
    try { for (const c of (await ask("latest", { match: s.match }, signal)).channels) out.set(keyOf(c), { time: c.time, value: c.value, channel: channelOf(c) }); } catch (e) { if (e.code !== "no_channel") throw e; }
  }));
  return out;
}
// table gives all rows of [from, to) joined on time: [[time, [value…]]…].
export async function table(list, from, to, unit, signal) {
  const rows = new Map(), place = new Map(list.map((c, i) => [c.key, i])), per = unit === "us" ? 1e3 : 1;
  await Promise.all(selectors(list).map(async s => {
    let after = "";
    do {
      let body;
      try { body = await ask("table", { match: s.match, from: ns(from), to: ns(to), limit: 2000, unit, after: after || null }, signal); } catch (e) { if (e.code === "no_channel") return; throw e; }
      const cols = body.channels.map(c => place.get(keyOf(c)));
      body.times.forEach((t, i) => {
        let row = rows.get(t); if (!row) rows.set(t, row = new Array(list.length).fill(null));
        body.rows[i].forEach((x, k) => { if (cols[k] != null && x !== null) row[cols[k]] = x; });
      });
      after = body.next;
    } while (after);
  }));
  return [...rows].sort((a, b) => a[0] - b[0]).filter(r => r[1].some(x => x !== null)).map(([t, row]) => [t / per, row]);
}
export const exportURL = (match, from, to, zone) => `/api/v1/export?${new URLSearchParams({ format: "csv", match, from: ns(from), to: ns(to), zone })}`;

// alarms gives the alarms of the channels, with their limits: {v, side, op}, side
// +1 where what lies above the limit is outside.
const SIGN = { ">": ">", ">=": "≥", "<=": "≤", "<": "<" };
export async function alarms(list, signal) {
  const mine = new Set(list.map(c => c.key));
  return (await ask("alarms", {}, signal)).alarms.filter(a => a.labels && mine.has(keyOf(a))).map(a => ({ ...a, key: keyOf(a), limits: !a.enabled ? [] : a.threshold != null
    ? [{ v: a.threshold, side: a.operator[0] === ">" ? 1 : -1, op: SIGN[a.operator] }]
    : [{ v: a.low, side: -1, op: a.operator === "outside" ? "<" : "≤" }, { v: a.high, side: 1, op: a.operator === "outside" ? ">" : "≥" }] }));
}
// events gives the alarm events of the channels in [from, to), oldest first.
export async function events(list, from, to, signal) {
  const mine = new Set(list.map(c => c.key)), out = []; let after = null, pages = 0;
  do {
    const body = await ask("events", { from: ns(from), to: ns(to), after }, signal);
    for (const e of body.events) if (e.labels && mine.has(keyOf(e))) out.push({ ...e, key: keyOf(e) });
    after = body.next;
  } while (after && ++pages < 5);
  return out;
}
// episodes pairs starts with ends: {alarm, name, key, from, to}; to is null while
// active, from is `first` where the start lies before what was asked for.
export function episodes(list, defined, first) {
  const open = new Map(), out = [];
  for (const e of list) {
    if (e.kind === "start") { const p = { alarm: e.alarm, name: e.name, key: e.key, from: e.time, to: null }; open.set(e.alarm, p); out.push(p); } else if (open.has(e.alarm)) { open.get(e.alarm).to = e.time; open.delete(e.alarm); } else out.push({ alarm: e.alarm, name: e.name, key: e.key, from: first, to: e.time });
  }
  for (const a of defined) if (a.state === "active" && a.enabled && !open.has(a.id)) out.push({ alarm: a.id, name: a.name, key: a.key, from: a.since, to: null });
  return out;
}
