// The legend is the value table is the statistics; below it the events in view; and
// the words of the toolbar that follow the state.
import { now } from "./api.js";
import { MAX } from "./channels.js";
import { $, $$, el, icon, phone, swatch } from "./dom.js";
import * as f from "./format.js";
import { t } from "./i18n.js";
import { clock, moment } from "./plot-time.js";
import { reading as shown } from "./plot.js";
import { holds } from "./states.js";
import { at, codeOf, path, Q, WORD } from "./viewer-data.js";
import { draw, plots, redraw } from "./viewer-panes.js";
import { stripDraw } from "./viewer-lanes.js";
import { setRange } from "./viewer-move.js";
import { span, state } from "./viewer-state.js";
import { remove } from "./viewer.js";

const cell = (text, className = "num", rest = {}) => el("td", { className, ...rest }, text);
export function legend() {
  const statistics = state.tab === "statistics", th = (text, className = "num") => el("th", { scope: "col", className }, text), out = []; let instrument = null;
  $("#legend thead").replaceChildren(el("tr", {}, el("td", {}), th(t("viewer.name"), ""), statistics ? ["min", "mean", "max", "last_value", "count"].map(k => th(t("viewer." + k)))
    : [th(t("viewer.value")), th(t("viewer.unit"), "unit"), state.mark != null && th(t("viewer.delta")), el("td", {})]));
  for (const r of state.rows) {
    if (r.c.instrument !== instrument) { instrument = r.c.instrument; out.push(el("tr", { className: "group" }, el("td", { colspan: "7" }, [r.c.group, instrument].filter(Boolean).join(" › ")))); }
    out.push(statistics ? statisticsRow(r) : valueRow(r));
  }
  $("#legend tbody").replaceChildren(...out);
  $("#channel-count").textContent = `${state.channels.length} / ${MAX}`;
  events(); values(); marks();
}
function row(r, className, ...cells) {
  const { c } = r, shown = !state.hidden.has(c.key);
  const line = el("tr", { className: (shown ? "" : "off ") + className, title: path(c).join(" › ") },
    el("td", {}, el("button", { className: "swatch", "aria-pressed": String(shown), "aria-label": t("viewer.show_channel", { name: c.name }), onclick: () => { shown ? state.hidden.add(c.key) : state.hidden.delete(c.key); draw(); legend(); } }, [...swatch(r.i).childNodes])),
    el("td", { className: "name" }, el("button", { "aria-pressed": String(state.pinned === c.key), onclick: () => { state.pinned = state.pinned === c.key ? null : c.key; focusOn(state.pinned); stripDraw(); } }, c.name)), cells);
  line._row = r; line.onmouseenter = () => focusOn(c.key); line.onmouseleave = () => focusOn(state.pinned);
  return line;
}
const valueRow = r => row(r, "", cell("", "num v"), cell(r.c.unit, "unit"), state.mark != null && cell("", "num d"),
  el("td", {}, el("button", { className: "icon-button", "aria-label": t("viewer.remove", { name: r.c.name }), title: t("viewer.remove", { name: r.c.name }), onclick: () => remove(r.c.key) }, icon("close"))));
function statisticsRow(r) {
  const s = r.v.stats, n = (v, computed) => cell(s.count ? shown(r, v, computed) : "–");
  return row(r, "statistic", n(s.min), n(s.mean, true), n(s.max), n(s.last), cell(f.num(s.count), "num", { title: s.bad ? t("viewer.without_number", { n: f.num(s.bad) }) : null }));
}
export function focusOn(key) {
  state.focus = key;
  for (const p of plots) { const i = p._rows.findIndex(r => r.c.key === key); p.setSeries(i < 0 ? null : i + 1, { focus: true }, false); }
  redraw(); marks();
}
export function marks() { for (const tr of $$("#legend tbody tr")) if (tr._row) { tr.classList.toggle("focus", tr._row.c.key === state.focus); tr.classList.toggle("pinned", tr._row.c.key === state.pinned); } }

const alarming = (key, v) => state.alarms.some(a => a.key === key && a.enabled && holds(a.operator, v, a.threshold ?? a.low, a.high));
const ENDED = 30 * f.DAY; // what is older is not waited for
// What a row says at the crosshair, or of its newest sample: {text, className, v}.
function reading(r) {
  const ms = state.cursor; let x = null, late = 0;
  if (ms != null) x = at(r.v, ms);
  else if (state.live) {
    const l = state.latest.get(r.c.key); if (!l || l.time == null) return { text: "–", className: "num v q-miss" };
    const q = codeOf(l.value); x = q ? { q } : { q: 0, v: l.value }; const old = now() - l.time; if (old > (3 * r.v.pace || span()) + 5e3 || old < -5e3) late = old;
  } else x = at(r.v, Math.min(state.to - 1e-3, now()));
  if (x.q) return { text: t(WORD[x.q]), className: "num v " + (x.q === Q.over || x.q === Q.under ? "q-over" : "q-miss") };
  return { text: shown(r, x.v, x.computed) + (late ? ` · ${late > 0 && late < ENDED ? t("viewer.late", { age: f.age(late) }) : f.age(late)}` : ""), className: "num v" + (late ? " q-miss" : alarming(r.c.key, x.v) ? " q-alarm" : ""), v: x.v };
}
export function values() {
  const ms = state.cursor, box = $("#readout"), averaged = state.rows.some(r => r.v.dense);
  if (state.tab === "statistics") { box.replaceChildren(el("span", {}, el("b", {}, `${moment(state.from, 1e3, state.to)} – ${moment(state.to, 1e3, state.from)}`)), el("span", {}, f.span(span()))); return; }
  box.replaceChildren(el("span", {}, el("b", {}, ms != null ? moment(ms, state.step) : t(state.live ? "viewer.latest" : "viewer.end_of_view")), ms == null && state.live ? "" : ` · ${averaged ? t("viewer.mean_of", { span: f.span(state.step) }) : t("viewer.as_recorded")}`), state.mark != null ? el("span", {}, `Δt ${f.span(Math.abs((ms ?? state.to) - state.mark))}`) : "");
  for (const tr of $$("#legend tbody tr")) {
    const r = tr._row; if (!r) continue;
    const x = reading(r), v = $(".v", tr), d = $(".d", tr);
    v.textContent = x.text; v.className = x.className;
    if (d) { const m = at(r.v, state.mark); d.textContent = x.v == null || m.q ? "" : signed(x.v - m.v, r); }
  }
}
function signed(v, r) { const text = shown(r, v, true); return (v > 0 && /[1-9]/.test(text) ? "+" : "") + text; }
function events() {
  const list = state.events.filter(e => e.time >= state.from && e.time <= state.to).reverse(), byKey = new Map(state.rows.map(r => [r.c.key, r])), days = f.iso(state.from) !== f.iso(state.to);
  $("#events").replaceChildren(...list.slice(0, 50).map(e => {
    const r = byKey.get(e.key), go = () => { setRange(e.time - span() / 4, e.time + span() / 4); };
    return el("li", {}, el("span", { className: `mark mark-${e.kind === "start" ? "active" : "normal"}` }), el("button", { onclick: go }, el("time", {}, (days ? f.dm(e.time) + " " : "") + f.hm(e.time)), el("span", {}, t(e.kind === "start" ? "viewer.began" : "viewer.ended", { name: e.name })), el("b", {}, typeof e.value === "number" ? (r ? shown(r, e.value) : f.exact(e.value)) + f.unit(r?.c.unit) : "")));
  }));
  $("#events-box").hidden = !list.length;
}

// --- toolbar ---------------------------------------------------------------------------
export function rangeText() {
  const s = span();
  if (state.live) return t("viewer.last", { span: s === f.DAY ? `24\u202f${t("span.h")}` : f.span(s) }) + (phone() ? "" : " · " + f.offset());
  const step = s < 60e3 ? Math.min(s / 100, 1e3) : 60e3, a = clock(state.from, step), b = clock(state.to, step);
  if (phone() && f.dated(state.from, state.to)) return f.iso(state.from) === f.iso(state.to) ? `${f.iso(state.from)} ${a} – ${b}` : `${f.iso(state.from)} – ${f.iso(state.to)}`;
  const first = f.dm(state.from, state.to), end = f.dm(state.to, state.from);
  if (s >= 4 * f.DAY) return `${first} – ${end}`;
  return f.iso(state.from) === f.iso(state.to) ? `${first} ${a} – ${b}` : `${first} ${a} – ${end} ${b}`;
}
export function head() {
  const graph = state.mode === "graph", press = (id, on) => $(id).setAttribute("aria-pressed", String(on));
  $("#range-text").textContent = rangeText(); $("#range").title = `${f.stamp(state.from)} – ${f.stamp(state.to)}, ${f.zone()}`;
  press("#live", state.live); $("#live").classList.toggle("is-live", state.live);
  for (const b of $$("[data-hours]")) b.setAttribute("aria-pressed", String(state.live && Math.abs(+b.dataset.hours * f.HOUR - span()) < 1e3));
  press("#mode-graph", graph); press("#mode-list", !graph); press("#layout-panes", state.layout === "panes"); press("#layout-overlay", state.layout === "overlay");
  const none = !state.channels.length;
  $("#chart").hidden = !graph || none; $("#list").hidden = graph || none; $("#layouts").hidden = !graph; $("#nothing").hidden = !none;
}
