// Spark lines: what a channel did in an hour or a day. No line crosses what was
// not measured.
import { canvas, css } from "./dom.js";
import { isNumber } from "./format.js";

// points(view, i) makes a list of {t, lo, mean, hi, bad} of channel i of an
// answer of /view: a bucket without rows is left out, one whose rows hold no
// number has mean null and bad set.
export function points(view, i) {
  const c = view.channels[i], out = [];
  for (let k = 0; k < c.count.length; k++) {
    if (!c.count[k] && !c.quality[k]) continue;
    const mean = isNumber(c.sum[k]) ? c.sum[k] / c.count[k] : null;
    out.push({ t: view.from + k * view.width, mean, lo: isNumber(c.min[k]) ? c.min[k] : mean, hi: isNumber(c.max[k]) ? c.max[k] : mean, last: c.last[k], n: c.count[k], rows: c.count[k] + c.quality[k], bad: c.quality[k] > 0 });
  }
  return out;
}

// gap is how far apart points may be and still be joined: 3 intervals, or 3 times
// how far apart they are for the most part, as the interval may have been longer
// before; never less than 1.5 buckets.
export function gap(list, width, interval) {
  const steps = list.slice(1).map((p, i) => p.t - list[i].t).sort((a, b) => a - b);
  return Math.max(1.5 * width, 3 * (interval || 0), 3 * (steps[steps.length >> 1] || 0));
}

// learn sets a channel's interval from its points: how far apart its rows were
// lately, where buckets hold several. Where they are rare and come now and then,
// as of a tester that a person carries, seldom is how long one may have to wait.
export function learn(c, list, width) {
  const steps = list.slice(1).map((p, i) => p.t - list[i].t).sort((a, b) => a - b), wait = steps[Math.floor(steps.length * 0.9)] || 0;
  c.seldom = wait > 3 * width ? wait : 0;
  if (c.deltas.length < 3) c.interval = often(list, width) || c.interval;
}
function often(list, width) {
  const some = list.slice(-5, -1), rows = some.reduce((n, p) => n + p.rows, 0); // the last bucket is not over
  return rows >= 2 * some.length && some.length > 1 ? some.length * width / rows : 0;
}

// extent gives the least and greatest value of points, null where there is none.
export function extent(list) {
  let lo = Infinity, hi = -Infinity;
  for (const p of list) if (p.mean != null) { lo = Math.min(lo, p.lo); hi = Math.max(hi, p.hi); }
  return lo <= hi ? [lo, hi] : null;
}

// spark(cv, list, from, to, { width, interval, limits, band }) draws on canvas
// cv; limits are values drawn as dashed lines.
export function spark(cv, list, from, to, { width, interval = 0, limits = [], band = false } = {}) {
  const place = canvas(cv);
  if (!place) return;
  const { g, width: w, height: h } = place, range = extent(list), x = t => (t + width / 2 - from) / (to - from) * w;
  if (!range) { dash(g, w, h); return; }
  let [lo, hi] = range;
  for (const l of limits) if (band) { lo = Math.min(lo, l); hi = Math.max(hi, l); }
  const pad = (hi - lo) * 0.08 || Math.abs(hi) * 0.01 || 1, y = v => 2 + (hi + pad - v) / (hi - lo + 2 * pad) * (h - 4);
  g.setLineDash([4, 3]);
  g.strokeStyle = css("--alarm");
  for (const l of limits) if (l >= lo - pad && l <= hi + pad) line(g, [[0, y(l)], [w, y(l)]]);
  g.setLineDash([]);
  const runs = split(list, gap(list, width, interval));
  if (band) {
    g.fillStyle = css("--spark"); g.globalAlpha = 0.18;
    for (const run of runs) {
      g.beginPath();
      run.forEach((p, k) => k ? g.lineTo(x(p.t), y(p.hi)) : g.moveTo(x(p.t), y(p.hi)));
      for (const p of [...run].reverse()) g.lineTo(x(p.t), y(p.lo));
      g.fill();
    }
    g.globalAlpha = 1;
  }
  g.fillStyle = css("--over-fill");
  for (const p of list) if (p.mean == null && p.bad) g.fillRect(x(p.t) - 1, 0, Math.max(2, width / (to - from) * w), 3);
  g.strokeStyle = g.fillStyle = css("--spark"); g.lineWidth = 1.25; g.lineJoin = "round";
  for (const run of runs) {
    if (run.length > 1) line(g, run.map(p => [x(p.t), y(p.mean)]));
    else g.fillRect(x(run[0].t) - 1, y(run[0].mean) - 1, 2, 2);
  }
}
// split breaks a list where nothing was measured.
export function split(list, most) {
  const runs = [];
  let run = null, last = -Infinity;
  for (const p of list) {
    if (p.mean == null) { run = null; continue; }
    if (!run || p.t - last > most) runs.push(run = []);
    run.push(p);
    last = p.t;
  }
  return runs;
}
function line(g, at) {
  g.beginPath();
  at.forEach(([a, b], k) => k ? g.lineTo(a, b) : g.moveTo(a, b));
  g.stroke();
}
function dash(g, w, h) {
  g.strokeStyle = css("--line-strong");
  g.setLineDash([2, 3]);
  line(g, [[0, h / 2], [w, h / 2]]);
}
