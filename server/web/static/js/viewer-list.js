// The list: the samples of the view joined on time, newest first, a window at a
// time while one scrolls down. How far a window reaches is told by the counts of
// the view, so that each has some hundred rows.
import { now } from "./api.js";
import { $, el } from "./dom.js";
import * as f from "./format.js";
import { t } from "./i18n.js";
import { clock } from "./plot-time.js";
import { reading } from "./plot.js";
import { codeOf, path, Q, table, WORD } from "./viewer-data.js";
import { state } from "./viewer-state.js";

const ROWS = 400;
let list = null; // {rows, from, end: of the next window, last: time of the last row, day, recent: distances, busy, fresh, stop}

export function listDraw() {
  list?.stop.abort();
  list = { rows: state.rows, from: state.from, end: Math.min(state.to, now() + 1), last: null, day: "", recent: [], busy: false, fresh: true, stop: new AbortController() };
  $("#list thead").replaceChildren(el("tr", {}, el("th", { scope: "col" }, t("viewer.time"), el("small", {}, f.offset(state.to))), list.rows.map(r => el("th", { scope: "col", title: path(r.c).join(" › ") }, r.c.name, el("small", {}, r.c.unit || "\u00a0")))));
  return more();
}
// The latest start of a window before `end` that holds some hundred rows.
function windowBefore(end) {
  const { grid } = list.rows[0].v; let i = Math.min(grid.n - 1, Math.floor((end - grid.from) / grid.width)), rows = 0;
  for (; i > 0; i--) {
    let most = 0; for (const r of list.rows) most = Math.max(most, (r.v.count[i] || 0) + (r.v.quality[i] || 0));
    if ((rows += most) >= ROWS && grid.from + i * grid.width < end) break;
  }
  return i <= 0 ? list.from : Math.max(list.from, grid.from + i * grid.width);
}
async function more() {
  const own = list; if (own.busy || !own.rows.length) return;
  if (own.end <= own.from) { if (own.fresh) $("#list tbody").replaceChildren(); $("#list-end").textContent = t(own.last == null ? "viewer.list_empty" : "viewer.list_end"); return; }
  own.busy = true; $("#list-end").textContent = "";
  try {
    const from = windowBefore(own.end), rows = await table(own.rows.map(r => r.c), from, own.end, own.rows[0].v.grid.width < 1 ? "us" : "ms", own.stop.signal);
    if (own !== list) return;
    own.end = from; const lines = rows.reverse().flatMap(line);
    if (own.fresh) { own.fresh = false; $("#list tbody").replaceChildren(...lines); $("#list").scrollTop = 0; } else $("#list tbody").append(...lines);
  } catch (e) { if (e.name !== "AbortError" && own === list) $("#list-end").textContent = e.text || String(e); return; } finally { own.busy = false; }
  const box = $("#list"); if (box.scrollHeight < box.clientHeight + 200 || own.end <= own.from) await more();
}
// One sample's row, after the day where it changes and the gap where one lies between.
function line([at, values]) {
  const out = [], n = String(list.rows.length), empty = list.last == null ? 0 : list.last - at;
  const usual = list.recent.length > 3 ? [...list.recent].sort((a, b) => a - b)[list.recent.length >> 1] : Infinity;
  if (empty > 3 * usual) { out.push(el("tr", { className: "gap" }, el("td", {}), el("td", { colspan: n }, t("viewer.no_data_for", { span: f.span(empty) })))); list.recent = []; } else if (empty) { list.recent.push(empty); if (list.recent.length > 9) list.recent.shift(); }
  list.last = at;
  const day = f.iso(at); if (day !== list.day) { list.day = day; out.push(el("tr", { className: "day" }, el("td", {}, f.dmy(at)), el("td", { colspan: n }))); }
  out.push(el("tr", {}, el("td", {}, clock(at, at % 1e3 ? at % 1 ? .001 : 1 : 1e3)), values.map((x, i) => {
    if (x === null) return el("td");
    const q = codeOf(x); return q ? el("td", { className: q === Q.over || q === Q.under ? "q-over" : "q-miss" }, q === Q.other && x !== "NaN" ? t("value." + x) : t(WORD[q])) : el("td", {}, reading(list.rows[i], x));
  })));
  return out;
}
$("#list").addEventListener("scroll", e => { const b = e.currentTarget; if (b.scrollTop + b.clientHeight > b.scrollHeight - 600) more(); }, { passive: true });
