// The monitor: every channel with its latest value, kept up to date.
import { api, live, now, Problem, setClock } from "./api.js";
import * as arrivals from "./arrivals.js";
import * as channels from "./channels.js";
import { $, el, phone, themed } from "./dom.js";
import * as f from "./format.js";
import { t } from "./i18n.js";
import * as detail from "./detail.js";
import { isAhead, isEnded, isLate, waited } from "./late.js";
import { onAlarm, refreshAlarms, toast } from "./shell.js";
import { learn, points, spark } from "./spark.js";
import { badge, OF_VALUE } from "./states.js";
import { plant, trail, Tree } from "./tree.js";

const POLL = 60e3, RETRY = 20e3;
const ORDER = ["alarm", "over", "open", "math", "nodata", "late", "ahead", "ended", "ok"];
const query = new URLSearchParams(location.search);
const picked = new Set(), byKey = new Map();
let filter = query.get("state") || "all", text = query.get("find") || "", current = null;
let chosenByHand = false, broken = false, laidOut = "", shape = "", following = "waiting", updated = 0, timer = 0, alarmsByKey = new Map(), clockSet = false;

const tree = new Tree($("#tree"), { choose, open, tick });

// --- data -------------------------------------------------------------------------------
// load asks for the latest values, and once for how often each channel is written.
async function load() {
  clearTimeout(timer);
  const since = arrivals.asked();
  try {
    const [latest, all] = await Promise.all([api("latest", { match: "{}" }), shape ? null : api("channels")]).catch(e => {
      if (e.code === "no_channel") return [{ channels: [] }, null];
      throw e;
    });
    if (!clockSet && latest.channels.length) {
      clockSet = true;
      await setClock(channels.selector(latest.channels[0].labels)).catch(() => {});
    }
    take(latest.channels, all?.channels);
    for (const { key, time, value } of since) { const c = byKey.get(key); if (c && (c.time == null || time >= c.time)) Object.assign(c, { time, value }); }
    problem(null);
    updated = now();
    timer = setTimeout(load, byKey.size ? POLL : 5e3); // the first channel is waited for
  } catch (e) {
    if (!(e instanceof Problem)) throw e;
    problem(e);
    timer = setTimeout(load, RETRY);
  } finally { arrivals.done(since); }
  render();
}
function take(list, rows) {
  const wanted = JSON.stringify(list.map(c => [channels.key(c), c.properties]));
  if (wanted !== shape) {
    const old = new Map(byKey);
    byKey.clear();
    for (const c of list) {
      const k = channels.key(c), before = old.get(k);
      Object.assign(c, { key: k, interval: before?.interval || 0, seldom: before?.seldom || 0, deltas: before?.deltas || [], waits: before?.waits, patience: before?.patience, day: before?.day, search: "" });
      byKey.set(k, c);
    }
    if (shape && !rows) for (const c of list) if (!old.has(c.key)) askIntervals();
    shape = wanted;
    laidOut = "";
    tree.show(plant(list));
    for (const c of list) c.search = [...trail(c), c.name, ...Object.values(c.labels), c.properties.unit].join(" ").toLowerCase();
    watch();
    if (current) current = byKey.get(current.key);
    current ??= tree.rows.find(r => r._node.kind === "channel")?._node;
    if (current) detail.show(current);
    marks();
  } else {
    for (const c of list) Object.assign(byKey.get(channels.key(c)), { time: c.time, value: c.value });
  }
  if (rows) intervals(rows);
  $("#empty").hidden = list.length > 0;
}
// intervals learns how often a channel is written from how much it holds; live
// samples refine it.
function intervals(rows) {
  for (const r of rows) {
    const c = byKey.get(channels.key(r));
    if (c && !c.interval && r.samples > 1) c.interval = (r.last - r.first) / (r.samples - 1);
  }
}
let asked = 0;
async function askIntervals() {
  if (asked) return;
  asked = setTimeout(() => { asked = 0; }, POLL);
  try { intervals((await api("channels")).channels); } catch { /* they stay unknown */ }
}

let dirty = 0, changes = 0;
function samples(event) {
  let unknown = false;
  for (const part of event.channels) {
    const key = channels.key(part), c = byKey.get(key);
    if (!c) { unknown = true; continue; }
    const n = part.times.length, was = c.time;
    for (let i = 0; i < n; i++) {
      const at = part.times[i];
      arrivals.note(key, at, part.values[i]);
      if (c.time != null && at < c.time) continue; // written late: not the latest
      if (c.time != null && at > c.time) { c.deltas.push(at - c.time); if (c.deltas.length > 5) c.deltas.shift(); }
      c.time = at; c.value = part.values[i];
    }
    if (was != null && c.time > was) waited(c, now() - was);
    if (c.deltas.length >= 3) c.interval = [...c.deltas].sort((a, b) => a - b)[c.deltas.length >> 1];
  }
  updated = now();
  if (unknown) { clearTimeout(timer); timer = setTimeout(load, 1000); }
  dirty ||= setTimeout(() => { dirty = 0; render(); }, 100);
}
live("{}", {
  samples,
  alarm: () => refreshAlarms().catch(() => {}),
  missed: () => { clearTimeout(timer); timer = setTimeout(load, 1000); },
  state: s => {
    const before = following;
    following = s;
    if (before !== s && !document.hidden) { clearTimeout(timer); timer = setTimeout(load, s === "live" ? 0 : 1000); } // what was missed; or is anyone there
    status();
  },
});
onAlarm(({ alarms }) => {
  alarmsByKey = grouped(alarms.filter(a => a.labels));
  render();
  const hot = !chosenByHand && tree.rows.find(r => r._node.state === "alarm")?._node;
  if (hot) choose(hot, false, false); else detail.redraw();
});
function grouped(alarms) {
  const m = new Map();
  for (const a of alarms) m.set(channels.key(a), [...m.get(channels.key(a)) || [], a]);
  return m;
}

// --- states and cells -----------------------------------------------------------------------
function stateOf(c, at) {
  if (c.alarms?.some(a => a.enabled && a.state === "active")) return "alarm";
  if (c.time == null) return "nodata";
  // Between two polls nothing is known: only what was late when asked is late then.
  const known = following === "live" || broken ? at : Math.min(at, updated);
  if (isEnded(c, known)) return "ended";
  if (isLate(c, known)) return "late";
  return OF_VALUE[c.value] || (isAhead(c, at) ? "ahead" : "ok");
}

const put = (cell, text) => { if (cell.textContent !== text) cell.textContent = text; };
function render() {
  const at = now(), counts = { all: 0 };
  for (const c of byKey.values()) {
    c.alarms = alarmsByKey.get(c.key);
    const s = stateOf(c, at);
    counts.all++;
    counts[s] = (counts[s] || 0) + 1;
    put(c.cells.value, f.value(c, c.value));
    if (s !== c.state || !c.cells.state.firstChild) {
      c.state = s;
      changes++;
      c.cells.state.replaceChildren(badge(s));
      c.row.className = `leaf is-${s}${f.isNumber(c.value) ? "" : " word"}${c === current ? " current" : ""}`;
    } else c.row.classList.toggle("word", !f.isNumber(c.value));
  }
  branches(tree.root.children);
  chips(counts);
  const layout = JSON.stringify([filter, text, shape.length, filter === "all" ? 0 : changes]);
  if (layout !== laidOut) {
    laidOut = layout;
    $("#none").hidden = tree.layout(matches, Boolean(text) || filter !== "all") > 0 || !byKey.size;
  }
  ages();
  status();
  detail.update();
}
function branches(nodes) {
  for (const n of nodes) {
    if (n.kind === "channel") continue;
    branches(n.children);
    const worst = ORDER.find(s => s !== "ok" && n.leaves.some(c => c.state === s)) || "", count = n.leaves.filter(c => c.state === worst).length;
    const sign = worst + count;
    if (n.sign === sign) continue;
    n.sign = sign;
    n.cells.state.replaceChildren(...worst ? [badge(worst), el("small", {}, ` ${count}`)] : []);
  }
}
function ages() {
  const at = now();
  for (const c of byKey.values()) if (!c.row.hidden) put(c.cells.age, c.time == null ? "–" : f.age(at - c.time));
}
function chips(counts) {
  const shown = ["all", ...ORDER].filter(k => counts[k] || k === filter || k === "all"), sign = filter + JSON.stringify(counts);
  const box = $("#chips");
  if (box.dataset.sign === sign) return;
  const focused = box.contains(document.activeElement) ? document.activeElement.dataset.state : null;
  box.dataset.sign = sign;
  box.replaceChildren(...shown.map(k => el("button", { className: "chip", "data-state": k, "aria-pressed": String(filter === k), onclick: () => { filter = filter === k ? "all" : k; remember(); render(); } },
    k === "all" ? el("span", {}, t("all")) : badge(k), el("b", {}, String(counts[k] || 0)))));
  if (focused) $(`[data-state="${focused}"]`, box)?.focus();
}
function status() {
  const at = updated ? f.hms(updated) : "";
  $("#updated").hidden = broken;
  put($("#updated"), following === "live" ? t("monitor.live", { time: at }) : t("monitor.polling", { time: at }));
  $("#updated").classList.toggle("is-live", following === "live");
}
function problem(e) {
  const box = $("#problem");
  broken = Boolean(e);
  box.hidden = !e;
  if (e) box.textContent = (updated ? t("monitor.stale", { time: f.hms(updated) }) : e.text) + " " + t("monitor.retry", { s: RETRY / 1000 });
}
const words = () => text.toLowerCase().split(/\s+/).filter(Boolean);
let wanted = words();
const matches = c => (filter === "all" || c.state === filter) && wanted.every(w => c.search.includes(w));
function remember() {
  const q = new URLSearchParams();
  if (filter !== "all") q.set("state", filter);
  if (text) q.set("find", text);
  history.replaceState(null, "", location.pathname + (q.size ? `?${q}` : ""));
}

// --- sparks: of the rows in sight, a request per instrument --------------------------------
const inSight = new Set();
const observer = new IntersectionObserver(entries => {
  let fresh = false;
  for (const e of entries) {
    const c = e.target.closest("tr")._node;
    if (!e.isIntersecting) { inSight.delete(c); continue; }
    inSight.add(c);
    if (c.day) draw(c); else fresh = true;
  }
  if (fresh) sparks(c => !c.day);
}, { root: phone() ? null : $("#scroll"), rootMargin: "60px" });
function watch() {
  observer.disconnect();
  inSight.clear();
  for (const c of byKey.values()) observer.observe(c.cells.canvas);
}
let asking = Promise.resolve();
function sparks(which = () => true) {
  asking = asking.then(async () => {
    const list = [...inSight].filter(c => byKey.get(c.key) === c && c.time != null && which(c));
    for (const { match, channels: some } of channels.selectors(list)) {
      try {
        const at = now(), view = await api("view", { match, fields: channels.FIELDS, from: "now-1h", to: "now", buckets: 80 });
        view.channels.forEach((v, i) => {
          const c = byKey.get(channels.key(v));
          if (!c) return;
          c.day = { list: points(view, i), from: at - f.HOUR, to: at, width: view.width };
          learn(c, c.day.list, view.width);
          draw(c);
        });
      } catch { for (const c of some) c.day ??= null; } // the next round tries again
    }
  });
}
const draw = c => c.day && spark(c.cells.canvas, c.day.list, c.day.from, c.day.to, { width: c.day.width, interval: c.interval });
setInterval(() => { if (!document.hidden) { sparks(); if (current) detail.show(current); } }, POLL);

// --- choosing ---------------------------------------------------------------------------------
function choose(c, clicked, byHand = true) {
  chosenByHand ||= byHand;
  if (clicked && phone()) { open(c); return; }
  current = c;
  for (const k of byKey.values()) k.row.classList.toggle("current", k === c);
  detail.show(c, false);
}
const chosen = () => [...byKey.values()].filter(c => picked.has(c.key));
function open(c) { location.href = channels.lastDay(picked.size ? chosen() : [c]); }
function tick(list, on) {
  let refused = 0;
  for (const c of list) {
    if (!on) picked.delete(c.key);
    else if (picked.has(c.key) || picked.size < channels.MAX) picked.add(c.key);
    else refused++;
  }
  if (refused) toast(t("monitor.full", { n: channels.MAX, refused }));
  marks();
}
function marks() {
  for (const k of picked) if (!byKey.has(k)) picked.delete(k);
  const visit = n => {
    const leaves = n.leaves || [n], m = leaves.filter(c => picked.has(c.key)).length, pick = n.cells?.pick;
    if (pick) {
      pick.checked = m === leaves.length && m > 0;
      pick.indeterminate = m > 0 && m < leaves.length;
      if (n.kind === "channel") n.row.setAttribute("aria-selected", String(m > 0));
    }
    n.children?.forEach(visit);
  };
  visit(tree.root);
  $("#tray").hidden = !picked.size;
  $("#tray-text").textContent = t("monitor.ticked", { n: picked.size, max: channels.MAX });
  $("#tray-open").href = channels.lastDay(chosen());
}

// --- start ------------------------------------------------------------------------------------
const find = $("#find");
find.value = text;
find.oninput = () => { text = find.value.trim(); wanted = words(); remember(); render(); };
find.onkeydown = e => {
  if (e.key === "ArrowDown") { tree.focusFirst(); e.preventDefault(); }
  if (e.key === "Escape" && text) { find.value = ""; find.oninput(); e.preventDefault(); }
};
$("#reset").onclick = () => { find.value = text = ""; wanted = []; filter = "all"; remember(); render(); find.focus(); };
$("#tray-clear").onclick = () => tick([...byKey.values()], false);
themed(() => { for (const c of inSight) draw(c); detail.redraw(); });
addEventListener("resize", () => { for (const c of inSight) draw(c); if (current) detail.show(current, false); detail.redraw(); });
setInterval(() => { if (!document.hidden && byKey.size) late(); }, 1000);
// late brings ages forward each second, and draws anew where a state changed by time alone.
function late() {
  const at = now();
  for (const c of byKey.values()) if (stateOf(c, at) !== c.state) { render(); return; }
  ages();
  detail.update();
}
load();
