// One pane: uPlot draws axes, lines and the crosshair; this file adds what a measurement
// needs: min/max band, gaps, over-range marks, alarm limits, reference mark, and numbers
// on the lines. Times are in ms; x of a bucket is its middle.
import { css, style } from "./dom.js";
import { t } from "./i18n.js";
import * as f from "./format.js";
import { ticks, labels } from "./plot-time.js";
import { runsOf, Q } from "./viewer-data.js";

export const PAD_R = 26; // room for the numbers at the line ends
const NUMBERS = 16;      // the same before an axis on the right
const ratio = () => devicePixelRatio || 1;
export const font = (px = 11) => `${px}px ${css("--font")}`;

// The panes scroll; their common time axis does not. It is drawn from the first pane's ticks.
export function timeAxis(canvas, u) {
  const r = ratio(), w = canvas.clientWidth, g = canvas.getContext("2d"), a = u.bbox.left / r, n = u.bbox.width / r;
  canvas.width = w * r; canvas.height = 34 * r; g.scale(r, r);
  const text = labels(u._ticks);
  g.font = font(); g.fillStyle = css("--axis"); g.strokeStyle = css("--line-strong"); g.textAlign = "center"; g.textBaseline = "top";
  g.beginPath(); g.moveTo(a, .5); g.lineTo(a + n, .5);
  u._ticks.at.forEach((at, i) => {
    const x = Math.round(u.valToPos(at, "x") + a) + .5; if (x < a - 1 || x > a + n + 1) return;
    g.moveTo(x, 0); g.lineTo(x, 5);
    const [top, below] = text[i].split("\n"), half = Math.max(g.measureText(top).width, below ? g.measureText(below).width : 0) / 2, tx = Math.max(half + 2, Math.min(w - half - 2, x));
    g.fillText(top, tx, 7);
    if (below) { g.font = "600 " + font(); g.fillText(below, tx, 20); g.font = font(); }
  });
  g.stroke();
}
function decimals(step) { let d = 0; while (d < 9 && Math.abs(step * 10 ** d - Math.round(step * 10 ** d)) > 1e-6) d++; return d; }
// reading shows a number of a channel: with its decimals; where they are not known as
// it was measured, or, if it was computed, with the digits that count.
export const reading = (row, v, computed = false) => row.c.dec != null ? f.num(v, row.c.dec) : computed ? f.rough(v) : f.exact(v);
// finest is the least difference that a channel's axis must show.
function finest({ c, v: { stats: { min, max } } }) {
  if (c.dec != null) return 10 ** -c.dec;
  return min < max ? 0 : Math.abs(max) * 1e-3 || .3;
}
// label is the number at a tick of an axis.
const label = (v, step) => step < 1e-6 || Math.abs(v) >= 1e9 ? f.exact(Math.abs(v) < step / 2 ? 0 : +v.toPrecision(8)) : f.num(v, decimals(step));

export function pane(opt) {
  const { el, width, height, groups, ctx } = opt; // groups share one pane, one axis each: {key, unit, rows: [{c, i, v}]}
  const rows = groups.flatMap(g => g.rows), scaleOf = new Map(groups.flatMap(g => g.rows.map(r => [r, g.key])));
  const visible = () => rows.filter(k => !ctx.hidden.has(k.c.key));
  const look = { stroke: () => css("--axis"), ticks: { stroke: () => css("--line-strong"), width: 1, size: 4 }, font: font() };
  const grid = { stroke: () => css("--grid"), width: 1 };

  const range = group => () => {
    const m = ctx.axes[group.key]; if (m && !m.auto && m.max > m.min) return [m.min, m.max];
    let lo = Infinity, hi = -Infinity, least = 0;
    for (const r of group.rows) if (!ctx.hidden.has(r.c.key) && r.v.stats.count) { lo = Math.min(lo, r.v.stats.min); hi = Math.max(hi, r.v.stats.max); least = Math.max(least, finest(r)); }
    if (lo > hi) return [-.1, 1.1];
    if (ctx.showLimits) for (const r of group.rows) if (!ctx.hidden.has(r.c.key)) for (const l of ctx.limits(r.c.key)) if (l.v > lo - (hi - lo) * .4 && l.v < hi + (hi - lo) * .4) { lo = Math.min(lo, l.v); hi = Math.max(hi, l.v); }
    const pad = Math.max((hi - lo) * .09, least * 4), edge = 20 / Math.max(40, height - 48) * (hi - lo + 2 * pad); // room for the bars of what is out of range
    const out = code => group.rows.some(r => !ctx.hidden.has(r.c.key) && r.v.q.some((q, i) => q === code && r.v.mean[i] === null)) ? edge : 0;
    return [lo - pad - out(Q.under), hi + pad + out(Q.over)];
  };
  const scales = { x: { time: false, range: () => [ctx.from, ctx.to] } };
  for (const g of groups) scales[g.key] = { range: range(g) };
  const axes = [{ ...look, grid, size: 1, font: "1px sans-serif", stroke: "transparent", ticks: { show: false },
    splits: (u, _, from, to) => { u._ticks = ticks(from, to, u.bbox.width / ratio(), to - from < 12e3 ? to - from < 12 ? 130 : 104 : 84); return u._ticks.at; }, values: (u, at) => at.map(() => "") }];
  const most = Math.max(2, Math.floor(width * .42 / (opt.axisSize + 15))); // more axes would leave no room to draw; their channels keep their own scale
  groups.slice(0, most).forEach((group, k) => axes.push({ ...look, scale: group.key, side: k % 2 ? 1 : 3, size: opt.axisSize + (k === 1 ? NUMBERS : 0), gap: k === 1 ? 4 + NUMBERS : 4, space: height > 260 ? 34 : height > 130 ? 24 : 17, grid: { ...grid, show: !k },
    values: (u, at, a, sp, step) => at.map(v => label(v, step)), label: groups.length > 1 ? group.unit || t("viewer.no_unit") : null, labelSize: groups.length > 1 ? 15 : 0, labelGap: 0, labelFont: "600 " + font() }));
  const series = [{}].concat(rows.map(r => ({ label: r.c.name, scale: scaleOf.get(r), stroke: () => style(r.i).color, width: ctx.rows.length > 12 ? 1.25 : 1.6, dash: style(r.i).dash, show: !ctx.hidden.has(r.c.key), spanGaps: false,
    points: { show: u => r.v.stats.count === 1 || r.v.step > r.v.grid.width * 1.5 && u.bbox.width / ratio() / ((ctx.to - ctx.from) / r.v.step) > 7, filter: (u, i, all) => all ? null : alone(r.v.mean), size: 5, fill: () => style(r.i).color } })));

  const u = new uPlot({
    width, height, scales, axes, series, pxAlign: 1, padding: [groups.length > 1 ? 24 : 20, groups.length > 1 ? 2 : PAD_R, 4, 0], legend: { show: false },
    focus: { alpha: .28 },
    cursor: { sync: { key: "hokan", setSeries: false, scales: ["x", null] }, focus: { prox: 22 }, drag: { x: true, y: false, setScale: false, dist: 5 }, points: { size: 6, width: 1.5 },
      bind: { dblclick: () => () => null, mousedown: (u, target, handler) => e => { if (ctx.pan || e.shiftKey || e.button === 1) { ctx.startPan(e); return null; } return handler(e); } } },
    hooks: {
      setSelect: [u => { const { left, width } = u.select; if (width > 4) ctx.zoom(u.posToVal(left, "x"), u.posToVal(left + width, "x")); u.setSelect({ left: 0, width: 0 }, false); }],
      setCursor: [u => { if (!u._quiet) ctx.onCursor(u); }],
      setSeries: [(u, i, o) => { if (o.focus != null) ctx.onFocus(i ? rows[i - 1].c.key : null); }],
      drawAxes: [u => under(u)], draw: [u => over(u)],
    },
  }, columns(rows), el);
  u._rows = rows; u._groups = groups;

  function clip(u, draw) { const g = u.ctx, b = u.bbox; g.save(); g.beginPath(); g.rect(b.left, b.top, b.width, b.height); g.clip(); draw(g, b, ratio()); g.restore(); }
  function under(u) {
    const vis = visible(); if (!vis.length) return;
    clip(u, (g, b, r) => {
      const X = at => u.valToPos(at, "x", true);
      gaps(g, b, r, vis, X);
      if (ctx.showBand) for (const k of vis) if (vis.length <= 12 || k.c.key === ctx.focus) band(g, k, X, v => u.valToPos(v, scaleOf.get(k), true), ctx.focus && ctx.focus !== k.c.key ? .05 : vis.length < 5 ? .26 : .17);
      g.globalAlpha = 1;
      if (ctx.showLimits) for (const k of vis) if (vis.length === 1 || ctx.focus === k.c.key) for (const l of ctx.limits(k.c.key)) {
        const y = u.valToPos(l.v, scaleOf.get(k), true); g.fillStyle = css("--alarm"); g.globalAlpha = .07;
        if (l.side > 0) g.fillRect(b.left, b.top, b.width, y - b.top); else g.fillRect(b.left, y, b.width, b.top + b.height - y);
        g.globalAlpha = 1;
      }
    });
  }
  // Gap: shaded only where every visible line of this pane (or the one in focus) has nothing.
  function gaps(g, b, r, vis, X) {
    const one = vis.filter(k => k.c.key === ctx.focus), ask = one.length ? one : vis, { grid } = ask[0].v; g.fillStyle = hatch(g, r);
    const all = { q: ask[0].v.mean.map((_, i) => ask.every(k => k.v.mean[i] === null && k.v.q[i] !== Q.over && k.v.q[i] !== Q.under) ? Q.gap : 0) };
    for (const [i, j] of runsOf(all, q => q === Q.gap)) { const x0 = X(grid.from + i * grid.width), x1 = X(grid.from + (j + 1) * grid.width); if (x1 - x0 > 1) g.fillRect(x0, b.top, x1 - x0, b.height); }
  }
  function over(u) {
    const vis = visible();
    clip(u, (g, b, r) => {
      const X = at => u.valToPos(at, "x", true); g.setLineDash([]);
      if (ctx.showLimits) limits(u, g, b, r, vis);
      for (const k of vis) overRange(g, b, r, k, X, vis.length);
      if (ctx.mark != null) { const x = X(ctx.mark); g.strokeStyle = g.fillStyle = css("--ink"); g.lineWidth = r; g.setLineDash([r, 3 * r]); line(g, x, b.top, x, b.top + b.height); g.setLineDash([]); g.beginPath(); g.moveTo(x - 5 * r, b.top); g.lineTo(x + 5 * r, b.top); g.lineTo(x, b.top + 7 * r); g.fill(); }
      g.strokeStyle = css("--alarm"); g.globalAlpha = .55; g.lineWidth = r;
      for (const at of ctx.flags) line(g, X(at), b.top, X(at), b.top + b.height);
      g.globalAlpha = 1;
    });
    endNumbers(u, vis);
  }
  // Alarm limits: a dashed line with number, name and condition where there is room for them.
  function limits(u, g, b, r, vis) {
    const taken = [];
    for (const k of vis) for (const l of ctx.limits(k.c.key)) {
      const y = u.valToPos(l.v, scaleOf.get(k), true); if (y < b.top || y > b.top + b.height) continue;
      g.strokeStyle = css("--alarm"); g.lineWidth = 1.25 * r; g.setLineDash([6 * r, 3 * r]); line(g, b.left, y, b.left + b.width, y); g.setLineDash([]);
      if (vis.length > 8 && ctx.focus !== k.c.key) continue;
      const s = `${k.i + 1}  ${b.width < 420 * r ? "" : l.name + "  "}${l.op} ${reading(k, l.v)}`; g.font = font(11 * r); g.textAlign = "left"; g.textBaseline = "alphabetic";
      const wide = g.measureText(s).width, ys = (l.side > 0 ? [y - 4 * r, y + 12 * r] : [y + 12 * r, y - 4 * r]).filter(v => v > b.top + 10 * r && v < b.top + b.height - 1), xs = [b.left + 8 * r, b.left + b.width * .36, b.left + b.width - wide - 8 * r];
      const spot = xs.flatMap(x => ys.map(v => [x, v])).find(([x, v]) => !taken.some(p => Math.abs(p[1] - v) < 13 * r && x < p[0] + p[2] + 8 * r && p[0] < x + wide + 8 * r)); if (!spot) continue;
      taken.push([...spot, wide]); halo(g, s, spot[0], spot[1], css("--alarm"), r);
    }
  }
  // Numbers at the line ends, pushed apart so that all can be read.
  function endNumbers(u, vis) {
    const g = u.ctx, b = u.bbox, r = ratio(), tags = [];
    for (const k of vis) { const { mean, grid } = k.v; let i = Math.min(mean.length - 1, Math.floor((ctx.to - grid.from) / grid.width)); while (i >= 0 && mean[i] == null) i--; if (i >= 0) tags.push({ k, y: Math.max(b.top, Math.min(b.top + b.height, u.valToPos(mean[i], scaleOf.get(k), true))) }); }
    tags.sort((a, b) => a.y - b.y); const gap = Math.min(11 * r, b.height / Math.max(1, tags.length));
    for (let n = 1; n < tags.length; n++) tags[n].y = Math.max(tags[n].y, tags[n - 1].y + gap);
    if (tags.length) { tags.at(-1).y = Math.min(tags.at(-1).y, b.top + b.height); for (let n = tags.length - 2; n >= 0; n--) tags[n].y = Math.min(tags[n].y, tags[n + 1].y - gap); }
    g.save(); g.textAlign = "left"; g.textBaseline = "middle"; g.font = "700 " + font(Math.min(10 * r, gap));
    for (const { k, y } of tags) { g.fillStyle = style(k.i).color; g.globalAlpha = ctx.focus && ctx.focus !== k.c.key ? .35 : 1; g.fillText(k.i + 1, b.left + b.width + 5 * r, y); }
    g.restore();
  }
  return u;
}
// alone finds the buckets that no line reaches: they are drawn as points, or what is
// short in a long range could not be seen.
function alone(mean) {
  const out = []; let last = -1, before = null, here = null;
  mean.forEach((x, i) => { if (x === undefined) return; if (here != null && before == null && x == null) out.push(last); before = here; here = x; last = i; });
  if (here != null && before == null) out.push(last);
  return out;
}
// columns gives uPlot's data: rows of one pane share their grid.
export const columns = rows => [rows.length ? rows[0].v.grid.t : [], ...rows.map(r => r.v.mean)];

function line(g, x0, y0, x1, y1) { g.beginPath(); g.moveTo(x0, y0); g.lineTo(x1, y1); g.stroke(); }
function halo(g, s, x, y, color, r) { g.save(); g.lineJoin = "round"; g.lineWidth = 3 * r; g.strokeStyle = css("--surface"); g.strokeText(s, x, y); g.fillStyle = color; g.fillText(s, x, y); g.restore(); }
function hatch(g, r) { // 45 degree lines for "nothing is known here"
  const c = document.createElement("canvas"); c.width = c.height = 7 * r; const k = c.getContext("2d"); k.strokeStyle = css("--hatch"); k.lineWidth = r; line(k, 0, 7 * r, 7 * r, 0); return g.createPattern(c, "repeat");
}
// Band: min to max around the mean, one shape per stretch without a gap.
function band(g, k, X, Y, alpha) {
  const { grid, min, max, mean } = k.v; g.fillStyle = style(k.i).color; g.globalAlpha = alpha;
  for (let i = 0; i < mean.length;) {
    if (mean[i] == null) { i++; continue; }
    const at = []; let j = i, any = false;
    for (; j < mean.length && mean[j] !== null; j++) if (mean[j] !== undefined) { at.push(j); any ||= max[j] > min[j]; }
    if (any) { g.beginPath(); at.forEach((p, n) => n ? g.lineTo(X(grid.t[p]), Y(max[p])) : g.moveTo(X(grid.t[p]), Y(max[p]))); for (let n = at.length; n--;) g.lineTo(X(grid.t[at[n]]), Y(min[at[n]])); g.fill(); }
    i = j;
  }
}
// Over or under range: a barbed bar at the edge of the pane, never a line through it.
function overRange(g, b, r, k, X, lines) {
  const { grid } = k.v;
  for (const [i, j, q] of runsOf(k.v, (q, i) => (q === Q.over || q === Q.under) && k.v.mean[i] === null)) {
    const up = q === Q.over, x0 = X(grid.from + i * grid.width), x1 = Math.max(x0 + 6 * r, X(grid.from + (j + 1) * grid.width)), d = up ? -1 : 1; if (x1 < b.left || x0 > b.left + b.width) continue;
    const y = up ? b.top + 9 * r : b.top + b.height - 9 * r;
    g.strokeStyle = g.fillStyle = style(k.i).color; g.lineWidth = 2 * r; line(g, x0, y, x1, y); g.lineWidth = 1.25 * r;
    for (let x = Math.max(x0, b.left - 7 * r) + 3 * r; x < Math.min(x1, b.left + b.width); x += 7 * r) { g.beginPath(); g.moveTo(x - 2.5 * r, y + d * 3 * r); g.lineTo(x, y + d * 6.5 * r); g.lineTo(x + 2.5 * r, y + d * 3 * r); g.stroke(); }
    if (x1 - x0 < 60 * r && lines >= 8) continue;
    const s = `${k.i + 1}  ${t(up ? "value.over" : "value.under")}`; g.font = "600 " + font(11 * r); g.textBaseline = "middle"; g.textAlign = "left";
    const w = g.measureText(s).width, end = b.left + b.width - w - 4 * r, x = x1 + 6 * r <= end ? x1 + 6 * r : x0 - w - 6 * r; // after the bar, before it, or else beside it
    halo(g, s, x >= b.left ? x : end, x >= b.left ? y : y - d * 12 * r, css("--over"), r);
  }
}
