// The panes of the graph: one per unit (or one for all, with an axis per unit).
import { $, el, phone } from "./dom.js";
import { num } from "./format.js";
import { t } from "./i18n.js";
import { columns, pane, timeAxis } from "./plot.js";
import { moment } from "./plot-time.js";
import { movable, setMark, setRange, startPan } from "./viewer-move.js";
import { lanesDraw, stripDraw } from "./viewer-lanes.js";
import { marks, values } from "./viewer-legend.js";
import { axisBox } from "./viewer-dialogs.js";
import { lines, state } from "./viewer-state.js";

export let plots = [];
let drawn = "", splitFor = "", splitInto = null, zooming = 0;

// One pane per unit. A unit is split where one channel would press the others flat
// (a gap in values wider than 40 % of the whole span).
function split(unit, rows) {
  const live = rows.filter(r => r.v.stats.count).sort((a, b) => a.v.stats.min - b.v.stats.min), rest = rows.filter(r => !r.v.stats.count), out = [];
  const cut = list => {
    let hi = -Infinity, best = 0, at = 0;
    list.forEach((r, i) => { if (i && r.v.stats.min - hi > best) { best = r.v.stats.min - hi; at = i; } hi = Math.max(hi, r.v.stats.max); });
    if (at && best > .4 * (hi - list[0].v.stats.min)) { cut(list.slice(0, at)); cut(list.slice(at)); } else out.push(list);
  };
  live.length ? cut(live) : out.push([]); out[0].push(...rest);
  return out.map(k => k.sort((a, b) => a.i - b.i)).sort((a, b) => a[0].i - b[0].i).map((rows, n) => ({ key: `${unit}#${n}`, unit, rows }));
}
// The split is decided once per choice of channels: panes must not jump while one
// zooms or pans.
function parts(list) {
  const units = [...new Set(list.map(r => r.c.unit))];
  if (state.layout === "overlay") return [units.map(unit => ({ key: unit + "#0", unit, rows: list.filter(r => r.c.unit === unit) }))];
  const who = list.map(r => r.c.key).join(); if (who !== splitFor) { splitFor = who; splitInto = units.flatMap(u => split(u, list.filter(r => r.c.unit === u))).map(g => [g]); }
  const now = new Map(list.map(r => [r.c.key, r]));
  return splitInto.map(p => p.map(g => ({ ...g, rows: g.rows.map(r => now.get(r.c.key)) })));
}
export function draw() {
  const box = $("#panes"), list = lines(), groups = list.length ? parts(list) : [];
  lanesDraw(); // their height decides what is left for the panes
  $(".stage").style.setProperty("--needed", `${Math.min(640, groups.reduce((n, p) => n + least(p), 0)) + 82 + $("#lanes").offsetHeight}px`); // with axis and strip, for phones
  if (!box.clientWidth) return;
  const shape = JSON.stringify([groups.map(p => p.map(g => [g.key, g.rows.map(r => `${r.i}:${r.c.key}`)])), [...state.hidden], state.axes, box.clientWidth, box.clientHeight, document.documentElement.dataset.theme]);
  if (shape === drawn && plots.length) { update(); lanesDraw(); stripDraw(); return; }
  drawn = shape; for (const p of plots) p.destroy(); plots = []; box.replaceChildren();
  if (list.length) build(box, groups);
  axis(); lanesDraw(); stripDraw();
}
function update() {
  for (const p of plots) {
    const now = new Map(state.rows.map(r => [r.c.key, r]));
    for (const r of p._rows) r.v = now.get(r.c.key).v;
    p.setData(columns(p._rows));
  }
  axis();
}
export function theme() { drawn = ""; draw(); }
const count = p => p.reduce((n, g) => n + g.rows.length, 0), least = p => Math.max(phone() ? 96 : 78, 26 + 10 * count(p));
// Panes share the height by how many lines they hold, but never below a legible least.
function build(box, groups) {
  const width = box.clientWidth, total = box.clientHeight, sum = groups.reduce((n, p) => n + weight(count(p)), 0);
  const axisSize = Math.max(phone() ? 46 : groups[0].length < 3 ? 68 : 54, ...groups.flat().map(labelWidth));
  const spare = Math.max(0, total - groups.reduce((n, p) => n + least(p), 0)); let left = total;
  groups.forEach((p, k) => {
    let height = least(p) + Math.floor(spare * weight(count(p)) / sum); if (k === groups.length - 1 && left > least(p)) height = left; left -= height;
    const host = el("div", { className: "pane" }, el("div", { className: "pane-title" }, p.map(axisButton))); box.append(host);
    const u = pane({ el: host, width, height: height - 1, groups: p, ctx, axisSize });
    plots.push(u); movable(u);
    u.over.addEventListener("mouseleave", () => { state.cursor = null; state.focus = state.pinned; values(); tip(null); });
  });
}
// How wide the longest label of an axis may become: its number with the digits that
// a fifth of the range needs.
function labelWidth(group) {
  const s = group.rows.map(r => r.v.stats).filter(s => s.count), lo = Math.min(...s.map(k => k.min)), hi = Math.max(...s.map(k => k.max)); if (!s.length) return 0;
  const digits = Math.max(0, Math.min(9, -Math.floor(Math.log10((hi - lo) / 5 || 1)))); return Math.min(120, 14 + 6.6 * Math.max(num(lo, digits).length, num(hi, digits).length));
}
const weight = n => Math.min(2.4, 1 + .32 * (n - 1));
const axisButton = g => el("button", { "aria-label": t("viewer.axis_of", { unit: g.unit || t("viewer.no_unit") }), title: t("viewer.axis_of", { unit: g.unit || t("viewer.no_unit") }), onclick: () => axisBox(g) }, (g.unit || t("viewer.no_unit")) + (state.axes[g.key]?.auto === false ? " ⇕" : ""));

// What panes may ask of the page.
export const ctx = {
  get from() { return state.from; }, get to() { return state.to; }, get hidden() { return state.hidden; }, get axes() { return state.axes; }, get rows() { return state.rows; },
  get showBand() { return state.showBand; }, get showLimits() { return state.showLimits; }, get mark() { return state.mark; }, get pan() { return state.pan; }, get focus() { return state.focus; },
  get flags() { return state.events.filter(e => e.kind === "start" && e.time >= state.from && e.time <= state.to).map(e => e.time); },
  limits: key => state.alarms.filter(a => a.key === key).flatMap(a => a.limits.map(l => ({ ...l, name: a.name }))),
  zoom: (a, b) => { clearTimeout(zooming); zooming = setTimeout(() => setRange(a, b)); }, // after all panes in step have heard the mouse
  startPan,
  setMark,
  onCursor: u => { const i = u.cursor.idx; state.cursor = i == null || u.cursor.left < 0 ? null : u.data[0][i]; values(); tip(state.cursor); },
  onFocus: key => { const k = key ?? state.pinned; if (state.focus !== k) { state.focus = k; redraw(); marks(); } },
};
export const redraw = () => { for (const p of plots) p.redraw(false); };
// rescale shows the range of the state with the data there is.
export function rescale() {
  for (const p of plots) p.setScale("x", { min: state.from, max: state.to });
  axis(); lanesDraw(); stripDraw();
}
const axis = () => requestAnimationFrame(() => { if (plots[0]?._ticks && !$("#chart").hidden) timeAxis($("#time"), plots[0]); });
// frame gives left edge and width of the plots, in CSS pixels.
export function frame() {
  const b = plots[0]?.bbox, r = devicePixelRatio || 1;
  return b?.width ? [b.left / r, b.width / r] : [68, Math.max(100, $("#panes").clientWidth - 94)];
}
export function tip(at) {
  const box = $("#tip"), u = plots[0]; box.hidden = at == null || !u; if (box.hidden) return;
  box.textContent = moment(at, state.step); const half = box.offsetWidth / 2;
  box.style.left = `${Math.max(half, Math.min(u.width - half, u.valToPos(at, "x") + u.bbox.left / (devicePixelRatio || 1)))}px`;
}
// pointAt puts the crosshair of the keyboard at a time.
export function pointAt(at) {
  state.cursor = at;
  for (const p of plots) { p._quiet = true; p.setCursor({ left: p.valToPos(at, "x"), top: -10 }, false); p._quiet = false; }
  values(); tip(at);
}
