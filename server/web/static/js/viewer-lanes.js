// Under the panes: lanes for states, alarms and quality on the same time axis, and
// the overview strip that shows where the window lies in a longer time.
import { now } from "./api.js";
import { $, css, style } from "./dom.js";
import * as f from "./format.js";
import { t } from "./i18n.js";
import { ticks } from "./plot-time.js";
import { episodes, events, gapsOf, Q, settle, view } from "./viewer-data.js";
import { frame } from "./viewer-panes.js";
import { slide } from "./viewer-move.js";
import { lanesOf, lines, span, state } from "./viewer-state.js";

const LANE = 18;
function sheet(canvas, height) {
  const width = canvas.clientWidth || canvas.parentElement.clientWidth, r = devicePixelRatio || 1;
  canvas.style.height = `${height}px`; canvas.width = width * r; canvas.height = height * r;
  const g = canvas.getContext("2d"); g.scale(r, r); g.font = `11px ${css("--font")}`; g.textBaseline = "middle"; return g;
}
export function lanesDraw() {
  const canvas = $("#lanes"); if ($("#chart").hidden) return;
  const list = lines(), states = lanesOf().filter(r => !state.hidden.has(r.c.key)), bad = list.some(r => r.v.q.some(k => k)), eps = state.episodes.filter(e => e.from < state.to && (e.to ?? Infinity) > state.from);
  const lanes = [...states.map(row => ({ row, name: row.c.name })), ...(eps.length ? [{ eps, name: t("viewer.alarms") }] : []), ...(bad ? [{ bad, name: t("viewer.quality") }] : [])];
  canvas.hidden = !lanes.length; if (!lanes.length) return;
  const h = lanes.length * LANE + 5, g = sheet(canvas, h), [left, w] = frame(), X = ms => left + (ms - state.from) / span() * w;
  g.save(); g.beginPath(); g.rect(left, 0, w, h); g.clip();
  lanes.forEach((lane, k) => { const y = k * LANE + 3, height = LANE - 5; if (lane.row) stateLane(g, lane.row, X, left, y, height); if (lane.eps) alarmLane(g, eps, X, left, y, height); if (lane.bad) qualityLane(g, list, X, y, height); });
  if (state.mark != null) { g.fillStyle = css("--ink"); g.fillRect(X(state.mark), 0, 1, h); }
  g.restore(); g.textAlign = "right"; g.fillStyle = css("--axis");
  lanes.forEach((lane, k) => {
    let s = lane.name, px = 11; while (px > 9 && g.measureText(s).width > left - 8) g.font = `${--px}px ${css("--font")}`; // smaller before it is cut
    while (g.measureText(s === lane.name ? s : s + "…").width > left - 8 && s.length > 2) s = s.slice(0, -1);
    g.fillText(s === lane.name ? s : s.trimEnd() + "…", left - 6, k * LANE + LANE / 2 + .5); g.font = `11px ${css("--font")}`;
  });
}
function stateLane(g, row, X, left, y, height) {
  const { v } = row, { grid } = v, color = style(row.i).color; const of = i => v.mean[i] == null ? null : v.max[i];
  for (let i = 0; i < grid.n;) {
    const s = of(i); let j = i + 1; while (j < grid.n && (v.mean[j] === undefined || of(j) === s)) j++;
    if (s != null) {
      const x0 = X(grid.from + i * grid.width), x1 = X(Math.min(grid.from + j * grid.width, state.to));
      g.fillStyle = color; g.globalAlpha = s === 0 ? .14 : s === 1 ? .5 : .85; g.fillRect(x0, s ? y : y + height - 3, Math.max(1, x1 - x0), s ? height : 3); g.globalAlpha = 1;
      const text = f.num(s); if (s && x1 - x0 > g.measureText(text).width + 8) { g.fillStyle = s === 1 ? css("--ink") : css("--surface"); g.fillText(text, Math.max(left, x0) + 4, y + height / 2 + .5); }
    }
    i = j;
  }
}
function alarmLane(g, eps, X, left, y, height) {
  for (const e of eps) {
    const x0 = Math.max(left - 2, X(e.from)), x1 = X(e.to ?? Math.min(state.to, now()));
    g.fillStyle = css("--alarm"); g.fillRect(x0, y, Math.max(2, x1 - x0), height); g.fillStyle = css("--surface");
    if (x1 - x0 > g.measureText(e.name).width + 8) g.fillText(e.name, Math.max(left, x0) + 4, y + height / 2 + .5);
  }
}
// Upper half: over and under range. Lower half: gaps and what holds no number, the
// darker the more of the lines.
function qualityLane(g, list, X, y, height) {
  const { grid } = list[0].v;
  for (let i = 0; i < grid.n; i++) {
    let missing = 0, over = 0; for (const r of list) { const q = r.v.q[i]; if (q === Q.over || q === Q.under) over++; else if (q) missing++; }
    if (!missing && !over) continue;
    const x = X(grid.from + i * grid.width), w = Math.max(1.2, X(grid.from + (i + 1) * grid.width) - x + .4);
    if (missing) { g.fillStyle = css("--missing"); g.globalAlpha = .25 + .6 * missing / list.length; g.fillRect(x, y + height / 2, w, height / 2); }
    if (over) { g.fillStyle = css("--over-fill"); g.globalAlpha = 1; g.fillRect(x, y, w, height / 2 - 1); }
    g.globalAlpha = 1;
  }
}

// --- overview strip ---------------------------------------------------------------
let whole = [0, 0], overview = null, asked = "";
const day = at => f.dated(at) ? f.iso(at) : f.dm(at); // short enough for its place
const LENGTHS = [1, 3, 7, 30, 90, 365, 3650].map(d => d * f.DAY);
export function stripDraw() {
  const canvas = $("#strip"); if ($("#chart").hidden || !canvas.clientWidth || !state.rows.length) return;
  const s = span(), length = LENGTHS.find(d => d >= s * 4) || Math.max(2 * LENGTHS.at(-1), s * 1.25), end = now();
  if (whole[1] - whole[0] !== length || state.from < whole[0] || state.to > whole[1]) { const b = Math.max(Math.min(end, state.to + (length - s) / 2), state.to) + (state.live ? length * .02 : 0); whole = [b - length, b]; }
  const [a, b] = whole, [left, w] = frame(), g = sheet(canvas, 46), X = ms => left + (ms - a) / (b - a) * w;
  g.fillStyle = css("--paper"); g.fillRect(left, 0, w, 46);
  const row = lines().find(k => k.c.key === state.pinned) || lines().find(r => r.v.stats.count) || lines()[0]; ask(row, a, b, w);
  if (overview?.key === row.c.key && overview.v.stats.count) {
    const { v } = overview, { grid, stats } = v, Y = k => 30 - (k - stats.min) / (stats.max - stats.min || 1) * 25; g.fillStyle = css("--spark"); g.globalAlpha = .42;
    for (let i = 0; i < grid.n; i++) if (v.mean[i] != null) { const y = Y(v.mean[i]), x = X(grid.from + i * grid.width); g.fillRect(x, y, Math.max(1, X(grid.from + (i + 1) * grid.width) - x) + .3, 32 - y); }
    g.globalAlpha = 1; g.fillStyle = css("--missing");
    for (const [from, to] of gapsOf([v])) g.fillRect(X(from), 28, Math.max(2, X(to) - X(from)), 4);
  }
  for (const e of overview?.episodes || state.episodes) if ((e.to ?? end) >= a && e.from <= b) { g.fillStyle = css("--alarm"); const x = X(Math.max(a, e.from)); g.fillRect(x, 0, Math.max(2, X(e.to ?? end) - x), 3); }
  g.fillStyle = css("--axis"); g.textAlign = "center"; g.strokeStyle = css("--line-strong");
  const marks = ticks(a, b, w, 74); for (const at of marks.at) { const x = X(at); g.beginPath(); g.moveTo(x, 32); g.lineTo(x, 35); g.stroke(); if (x > left + 16 && x < left + w - 16) g.fillText(marks.step < f.DAY ? new Date(at).getHours() ? f.hm(at) : day(at) : marks.step > 20 * f.DAY ? f.iso(at).slice(0, 7) : day(at), x, 40.5); }
  const x0 = X(state.from), x1 = Math.max(x0 + 3, X(state.to)); g.fillStyle = css("--paper"); g.globalAlpha = .62; g.fillRect(left, 0, x0 - left, 32); g.fillRect(x1, 0, left + w - x1, 32); g.globalAlpha = 1;
  g.strokeStyle = g.fillStyle = css("--accent"); g.lineWidth = 1.5; g.strokeRect(x0, .75, x1 - x0, 31); g.fillRect(x0 - 2, 9, 4, 14); g.fillRect(x1 - 2, 9, 4, 14);
}
// The strip's own view is asked for once per channel, stretch and width.
async function ask(row, a, b, w) {
  const id = `${row.c.key} ${state.channels.length} ${a} ${b} ${Math.round(w / 50)}`; if (id === asked) return; asked = id;
  try {
    const [answer, list] = await Promise.all([view([row.c], a, b, Math.max(50, Math.round(w / 2))), events(state.channels, a, b)]), v = answer.rows.get(row.c.key)?.v;
    if (asked !== id || !v) return;
    settle(v, a, b, now()); overview = { key: row.c.key, v, episodes: episodes(list, state.alarms, a) }; stripDraw();
  } catch { asked = ""; } // the view itself says what is wrong
}
$("#strip").addEventListener("pointerdown", e => {
  const canvas = e.currentTarget, box = canvas.getBoundingClientRect(), [left, w] = frame(), at = x => whole[0] + (x - box.left - left) / w * (whole[1] - whole[0]), px = ms => box.left + left + (ms - whole[0]) / (whole[1] - whole[0]) * w;
  let a = state.from, b = state.to; const how = Math.abs(e.clientX - px(a)) < 8 ? "a" : Math.abs(e.clientX - px(b)) < 8 ? "b" : "m"; state.past.push([a, b, state.live]);
  if (how === "m" && (at(e.clientX) < a || at(e.clientX) > b)) { const s = b - a; a = at(e.clientX) - s / 2; b = a + s; slide(a, b); }
  const start = at(e.clientX); canvas.setPointerCapture(e.pointerId);
  canvas.onpointermove = k => { const d = at(k.clientX) - start; slide(how === "b" ? a : a + d, how === "a" ? b : b + d); };
  canvas.onpointerup = canvas.onpointercancel = () => { canvas.onpointermove = null; };
});
