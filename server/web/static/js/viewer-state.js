// What the viewer shows, and its address: every view is a link.
import { now } from "./api.js";
import { MAX } from "./channels.js";
import { store } from "./dom.js";
import { HOUR } from "./format.js";
import { literal, matchesOf } from "./viewer-data.js";

export const state = {
  channels: [], // chosen, in order: the place decides colour, dash and number
  rows: [],     // {c, i, v} of the last answer
  from: 0, to: 0, live: true, mode: "graph", layout: "panes", tab: "values",
  hidden: new Set(), axes: {}, showBand: true, showLimits: true, focus: null, pinned: null, mark: null, cursor: null, pan: false,
  step: 0,           // width of a bucket, ms
  latest: new Map(), // key -> {time, value}
  alarms: [], events: [], episodes: [], past: [],
};
export const span = () => state.to - state.from;
// Channels without unit that hold few whole numbers are states: blocks in a lane.
export const lines = () => { const list = state.rows.filter(r => !r.c.isState); return list.length ? list : state.rows; };
export const lanesOf = () => state.rows.some(r => !r.c.isState) ? state.rows.filter(r => r.c.isState) : [];

const time = text => /^-?\d+(\.\d+)?$/.test(text) ? +text : Date.parse(text);
// restore reads the address; what it cannot read alone comes back as selectors to
// ask for: {matches, alarm}.
export function restore() {
  const q = new URLSearchParams(location.search), matches = q.getAll("match"), known = matches.map(literal);
  if (known.every(Boolean)) state.channels = known.flat();
  const hours = +q.get("hours") || 6, at = time(q.get("at") || ""), from = time(q.get("from") || ""), to = time(q.get("to") || "");
  state.to = now(); state.from = state.to - hours * HOUR;
  if (at) { state.from = at - 2 * HOUR; state.to = at + 3 * HOUR; state.live = false; if (state.to >= now()) { state.to = now(); state.live = true; } }
  if (from < to) { state.from = from; state.to = to; state.live = false; }
  state.layout = (q.get("layout") || store("layout")) === "overlay" ? "overlay" : "panes";
  if (q.get("mode") === "list") state.mode = "list";
  return { matches: known.every(Boolean) ? [] : matches, alarm: q.get("alarm") };
}
export function remember() {
  const q = new URLSearchParams(matchesOf(state.channels).map(m => ["match", m]));
  if (state.live) q.set("hours", String(+(span() / HOUR).toFixed(6))); else { q.set("from", String(+state.from.toFixed(3))); q.set("to", String(+state.to.toFixed(3))); }
  if (state.mode === "list") q.set("mode", "list");
  if (state.layout === "overlay") q.set("layout", "overlay");
  const address = "?" + q; if (address !== location.search) history.replaceState(null, "", address);
  store("channels", JSON.stringify(matchesOf(state.channels)));
}
// choose sets the channels, at most as many as a view holds; it tells whether all
// had room.
export function choose(list) {
  const keep = [...new Map(list.map(c => [c.key, c])).values()];
  state.channels = keep.slice(0, MAX);
  return keep.length <= MAX;
}
