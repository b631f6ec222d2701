// The viewer: loads what is shown, follows live samples, and wires the controls.
import { api, live, now, setClock } from "./api.js";
import * as arrivals from "./arrivals.js";
import { MAX, selectors } from "./channels.js";
import { $, el, store, themed } from "./dom.js";
import { DAY, dm, hm, MINUTE, num, zone } from "./format.js";
import { t } from "./i18n.js";
import { keys, onAlarm, showGaps, toast } from "./shell.js";
import * as data from "./viewer-data.js";
import { draw, plots, pointAt, redraw, rescale, theme } from "./viewer-panes.js";
import { lanesDraw } from "./viewer-lanes.js";
import { head, legend, values } from "./viewer-legend.js";
import { follow, scaleBy, setMark, setRange, shift, zoomBack } from "./viewer-move.js";
import { listDraw } from "./viewer-list.js";
import "./viewer-dialogs.js";
import { choose, remember, restore, span, state } from "./viewer-state.js";

// --- load: one answer for all channels, on one grid of buckets -------------------------
let current = null, loaded = 0, shown = 0;

export async function load({ quiet = false } = {}) {
  current?.abort(); const job = current = new AbortController(), { signal } = job;
  head(); remember(); link();
  if (!state.channels.length) { state.rows = []; $("#away").hidden = true; draw(); legend(); stream(); return; }
  const done = quiet ? () => {} : busy(job), started = performance.now(), since = arrivals.asked();
  try {
    const from = state.from, to = state.to, s = to - from, width = Math.max(240, $("#panes").clientWidth - 94 || $("#viewer").clientWidth * .6);
    const reach = Math.max(s * .05, Math.min(s * 3, 1.2 * Math.max(0, ...state.channels.map(c => paces.get(c.key) || 0)))); // so that lines come from the sample before
    const a = from - reach, b = state.live ? to : to + reach, per = state.channels.length > 16 ? 2 : 1.25;
    const extra = Promise.all([annotate(state.channels, from - s, to, signal), state.live ? data.latest(state.channels, signal) : null]);
    extra.catch(() => {});
    const answer = await data.view(state.channels, a, b, Math.max(60, Math.round(width / per * (b - a) / s)), signal);
    if (signal.aborted) return;
    take(answer, from, to, since); loaded = Date.now(); problem("");
    show(); state.measured = { ms: performance.now() - started, span: s }; $("#chart").dataset.ready = String(++shown); performance.mark("hokan:chart"); done();
    const [, latest] = await extra;
    if (signal.aborted) return;
    if (latest) { state.latest = latest; for (const { key, time, value } of since) newest(key, time, value); }
    stream(); probe().then(link, () => {}); rule().catch(() => {}); // the view itself says what fails
    await away(signal);
    if (await data.words(state.rows.map(r => ({ channel: r.c, v: r.v })), from, to, signal)) settleAll();
    if (!signal.aborted) { draw(); redraw(); lanesDraw(); legend(); }
  } catch (e) { if (e.name !== "AbortError" && job === current) failed(e); } finally { done(); arrivals.done(since); }
}
// away says where there is data if the range holds none, and offers to go there.
async function away(signal) {
  const none = state.rows.every(r => !r.v.stats.count && !r.v.stats.bad); if (!none) { $("#away").hidden = true; return; }
  const times = [...(await data.latest(state.channels, signal)).values()].map(l => l.time ?? -Infinity), newest = Math.max(...times); if (signal.aborted) return;
  const some = newest > -Infinity, go = $("#away-go");
  $("#away-text").textContent = some ? t("viewer.away", { time: `${dm(newest)} ${hm(newest)}` }) : t("viewer.never");
  go.hidden = !some; go.textContent = t("viewer.away_go"); go.onclick = () => { const to = newest + span() * .02; setRange(to - span(), to, { ahead: true }); };
  $("#away").hidden = false;
}
// rule shows the gaps of the last day in the ruler of every page.
let ruled = "";
async function rule() {
  const to = now(), from = to - DAY, id = `${chosen()} ${Math.floor(to / MINUTE)}`; if (id === ruled) return;
  ruled = id; const { rows } = await data.view(state.channels, from, to, 288, null, "count,quality"), all = [...rows.values()].map(r => r.v);
  for (const v of all) data.settle(v, from, to, to);
  if (ruled === id) showGaps(data.gapsOf(all));
}
const paces = new Map(); // key -> interval between samples, ms, as last seen
function take({ grid, rows, missing }, from, to, since) {
  if (missing.length) {
    const gone = new Set(missing.map(c => c.key)); state.channels = state.channels.filter(c => !gone.has(c.key)); remember();
    toast(t("viewer.gone", { names: missing.slice(0, 3).map(c => `${c.instrument} ${c.name}`).join(", "), n: num(missing.length) }));
  }
  const before = new Map(state.rows.map(r => [r.c.key, r]));
  state.channels = state.channels.map(c => rows.get(c.key)?.channel || c);
  state.rows = state.channels.map((c, i) => { const v = rows.get(c.key).v; v.words = carry(before.get(c.key)?.v, v); c.isState = before.get(c.key)?.c.isState ?? null; return { c, i, v }; });
  for (const { key, time, value } of since) data.ensure(rows.get(key)?.v, time, value);
  state.step = grid?.width || 0; settleAll();
  for (const r of state.rows) if (r.v.step) paces.set(r.c.key, r.v.step);
  for (const r of state.rows) if (r.c.isState == null && r.v.stats.count) r.c.isState = !r.c.unit && r.c.dec === 0 && r.v.stats.min >= 0 && r.v.stats.max <= 7 && r.v.last.every(x => x == null || Number.isInteger(x));
}
// Words that are known stay where the buckets are the same.
const carry = (old, v) => old && old.grid.width === v.grid.width ? new Map([...old.words].map(([i, w]) => [Math.round((old.grid.from - v.grid.from) / v.grid.width) + i, w]).filter(([i]) => i >= 0 && v.quality[i])) : new Map();
function settleAll() { const at = now(); for (const r of state.rows) data.settle(r.v, state.from, state.to, at); }
function show() {
  head();
  if (state.mode === "list") { legend(); listDraw(); } else { draw(); legend(); }
}
async function annotate(channels, from, to, signal) {
  const [alarms, events] = await Promise.all([data.alarms(channels, signal), data.events(channels, from, Math.max(to, Math.min(now(), to + span())) + 1, signal)]);
  if (signal.aborted) return;
  state.alarms = alarms; state.events = events; state.episodes = data.episodes(events, alarms, from);
}
// After 300 ms a thin bar says that something is under way, after 10 s words and a
// way to stop.
function busy(job) {
  const box = $("#busy"), early = setTimeout(() => { box.hidden = false; $("#busy-text").textContent = ""; $("#busy-cancel").hidden = true; }, 300);
  const late = setTimeout(() => { $("#busy-text").textContent = t("viewer.slow"); $("#busy-cancel").hidden = false; $("#busy-cancel").onclick = () => { job.abort(); problem(t("viewer.cancelled")); }; }, 10e3);
  return () => { clearTimeout(early); clearTimeout(late); if (job === current) box.hidden = true; };
}
let again = 0;
function problem(text) { clearTimeout(again); $("#problem").hidden = !text; $("#problem").textContent = text; $("#viewer").classList.toggle("has-problem", Boolean(text)); }
function failed(e) {
  const passing = e.status === 0 || e.status === 429 || e.status >= 500, text = e.text || String(e);
  problem(passing ? `${text} ${t("viewer.again")}` : text);
  if (passing) again = setTimeout(() => load({ quiet: true }), 10e3);
  if (!(e.status >= 0)) console.error(e);
}

// --- live --------------------------------------------------------------------------------
let following = null, streamed = "", dirty = 0;
function stream() {
  const match = state.live && state.channels.length ? data.cover(state.channels) : ""; if (match === streamed) return;
  streamed = match; following?.close(); following = null;
  const again = () => load({ quiet: true });
  if (match) following = live(match, { samples: arrived, alarm: again, missed: again, state: s => s === "live" && again() }); // what came before the stream was open
}
function arrived({ unit, channels }) {
  const per = { s: 1e3, ms: 1, us: 1e-3, ns: 1e-6 }[unit] || 1, rows = new Map(state.rows.map(r => [r.c.key, r])); let any = false;
  for (const c of channels) {
    const r = rows.get(data.channelOf(c).key); if (!r || !c.times.length) continue;
    any = true;
    c.times.forEach((x, i) => { const time = x * per, value = c.values[i]; arrivals.note(r.c.key, time, value); data.append(r.v, time, value); newest(r.c.key, time, value); });
  }
  if (any && state.live && !dirty) dirty = setTimeout(() => { dirty = 0; advance(true); }, 40);
}
function newest(key, time, value) { const l = state.latest.get(key); if (!l || l.time == null || time >= l.time) state.latest.set(key, { time, value }); }
const watched = () => state.cursor != null || state.mode === "list" && $("#list").scrollTop > 4 || document.hidden || $("dialog[open]") || $("#range-pop").matches(":popover-open");
// advance moves the right edge to now, with what has arrived; every quarter of a
// minute or bucket the server is asked again, for what came late or was corrected.
function advance(arrived) {
  if (!state.live || !state.rows.length) return;
  if (watched()) { if (arrived && !document.hidden) values(); return; }
  const s = span(), t0 = now(), pixel = s / Math.max(100, $("#panes").clientWidth);
  if (!arrived && t0 - state.to < pixel) { values(); return; }
  state.to = t0; state.from = t0 - s;
  if (Date.now() - loaded > (state.mode === "list" ? 2e3 : Math.max(15e3, Math.min(state.step, MINUTE)))) { rescaleQuiet(); load({ quiet: true }); return; }
  rescaleQuiet(); legendQuiet();
}
function rescaleQuiet() { settleAll(); if (state.mode === "graph") { draw(); rescale(); } head(); }
function legendQuiet() { if (state.tab === "statistics") legend(); else values(); }
setInterval(() => advance(false), 1e3);
document.addEventListener("visibilitychange", () => { if (!document.hidden && state.live) load({ quiet: true }); });
onAlarm(() => { if (state.rows.length) load({ quiet: true }); });

// --- CSV ------------------------------------------------------------------------------------
// One file where one selector names exactly the channels, else one per instrument
// and set of further labels.
const exact = new Map();
const chosen = () => state.channels.map(c => c.key).join();
const isExact = () => selectors(state.channels).length === 1 || exact.get(chosen());
async function probe() {
  const list = state.channels, id = chosen(); if (isExact() !== undefined) return;
  exact.set(id, (await data.channels(data.cover(list))).length === list.length);
}
function files() {
  const parts = selectors(state.channels), matches = parts.length > 1 && isExact() ? [data.cover(state.channels)] : parts.map(p => p.match);
  return matches.map(m => data.exportURL(m, state.from, state.to, zone()));
}
function link() {
  const a = $("#download"), n = state.channels.length; a.toggleAttribute("aria-disabled", !n); if (!n) { a.removeAttribute("href"); return; }
  a.href = files()[0]; a.title = t("viewer.download_title", { n: num(n), zone: zone() });
}
$("#download").addEventListener("click", async e => {
  if (!state.channels.length) { e.preventDefault(); return; }
  if (isExact()) { link(); return; }
  e.preventDefault();
  try { await probe(); } catch { /* one file each is right as well */ }
  const list = files(); if (list.length > 1) toast(t("viewer.files", { n: num(list.length) }));
  list.forEach((href, i) => setTimeout(() => el("a", { href, download: "" }).click(), i * 400));
});

// --- wiring -----------------------------------------------------------------------------------
export function remove(key) { state.channels = state.channels.filter(c => c.key !== key); state.hidden.delete(key); if (state.pinned === key) state.pinned = state.focus = null; load(); }
const mode = m => { state.mode = m; head(); load(); };
const layout = l => { state.layout = l; store("layout", l); head(); load(); };
function tab(which) {
  state.tab = which;
  for (const k of ["values", "statistics"]) { const b = $("#tab-" + k); b.setAttribute("aria-selected", String(k === which)); b.tabIndex = k === which ? 0 : -1; }
  legend();
}
function nudge(k) {
  if (!plots.length) return;
  const step = state.step || 1, at = Math.max(state.from, Math.min(state.to - step / 2, (state.cursor ?? state.to - step / 2 - k * step) + k * step)); pointAt(Math.floor(at / step) * step + step / 2);
}
$("#back").onclick = () => shift(-.5); $("#forth").onclick = () => shift(.5); $("#zoom-in").onclick = () => scaleBy(.5); $("#zoom-out").onclick = () => scaleBy(2); $("#zoom-back").onclick = zoomBack; $("#live").onclick = follow;
$("#hand").onclick = e => { state.pan = !state.pan; e.currentTarget.setAttribute("aria-pressed", String(state.pan)); $("#panes").classList.toggle("panning", state.pan); };
$("#mode-graph").onclick = () => mode("graph"); $("#mode-list").onclick = () => mode("list"); $("#layout-panes").onclick = () => layout("panes"); $("#layout-overlay").onclick = () => layout("overlay"); $("#tab-values").onclick = () => tab("values"); $("#tab-statistics").onclick = () => tab("statistics");
for (const [key, fn] of Object.entries({
  ArrowLeft: e => nudge(e.shiftKey ? -10 : -1), ArrowRight: e => nudge(e.shiftKey ? 10 : 1), "[": () => shift(-.25), "]": () => shift(.25), "+": () => scaleBy(.5), "=": () => scaleBy(.5), "-": () => scaleBy(2), Backspace: zoomBack,
  m: () => setMark(state.cursor ?? state.to - state.step / 2), l: follow, o: () => layout(state.layout === "panes" ? "overlay" : "panes"), t: () => mode(state.mode === "graph" ? "list" : "graph"), e: () => $("#download").click(), "/": () => $("#add").click(),
})) keys.set(key, fn);
let resized = 0, size = "";
const sizes = new ResizeObserver(() => {
  const now = `${$("#viewer").clientWidth} ${$("#panes").clientHeight}`; if (now === size) return;
  const wide = size.split(" ")[0] !== now.split(" ")[0]; size = now;
  if (!state.rows.length) return;
  draw(); if (wide) { clearTimeout(resized); resized = setTimeout(load, 120); }
});
sizes.observe($("#viewer")); sizes.observe($("#panes"));
themed(theme);

// --- start: from the address, from the last time, or with what there is -------------------------
async function start() {
  const { matches, alarm } = restore(); let list = state.channels;
  head();
  try {
    if (alarm) { const a = (await api("alarms")).alarms.find(k => k.id === alarm); if (a?.labels) list = [data.channelOf(a)]; }
    if (matches.length) list = (await Promise.all(matches.map(m => data.channels(m)))).flat();
    if (!list.length && !matches.length) list = await usual();
  } catch (e) { failed(e); return; }
  if (!choose(list)) toast(t("viewer.too_many_matched", { n: num(list.length), max: MAX }));
  await load();
  if (state.channels.length && state.live) { const was = now(); try { await setClock(selectors(state.channels)[0].match); } catch { return; } if (Math.abs(now() - was) > 2e3) { const s = span(); state.to = now(); state.from = state.to - s; load(); } }
}
// Channels to begin with: those of the last time if they are there, else the first
// few of each instrument.
async function usual() {
  let kept = []; try { kept = JSON.parse(store("channels") || "[]").map(data.literal).filter(Boolean).flat(); } catch { /* nothing of use is kept */ }
  const all = await data.channels("{}"), there = new Set(all.map(c => c.key)), again = kept.filter(c => there.has(c.key)); if (again.length) return again;
  const newest = Math.max(...all.map(c => c.last ?? 0)); if (all.length && newest < state.from) { state.to = newest + 1; state.from = state.to - DAY; state.live = false; }
  const by = new Map(); for (const c of all) by.set(c.instrument, [...by.get(c.instrument) || [], c]);
  return [...by.values()].flatMap(list => list.slice(0, by.size > 4 ? 2 : 4)).slice(0, 10);
}
start();
self.hokan = { state, setRange, plots: () => plots }; // for tests and the console
