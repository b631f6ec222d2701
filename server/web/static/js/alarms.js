// The alarms: a list by urgency, with the editor beside it, and the event log.
import { api, live, now, Problem, send } from "./api.js";
import * as channels from "./channels.js";
import { $, el, phone } from "./dom.js";
import { Editor } from "./alarm-editor.js";
import { condition } from "./conditions.js";
import { Log } from "./alarm-log.js";
import * as f from "./format.js";
import { t } from "./i18n.js";
import { onAlarm, refreshAlarms, toast } from "./shell.js";
import { badge, ofAlarm } from "./states.js";

const ORDER = ["active", "unknown", "normal", "off"];
const query = new URLSearchParams(location.search), body = $("#alarms");
let alarms = [], filter = "all", current = null, started = false, byKey = new Map(), stream = null, streamed = "";
const leaving = new Set(); // ids that are deleted unless that is undone

const channelOf = a => a.labels ? byKey.get(channels.key(a)) || { labels: a.labels, properties: {} } : null;
const editor = new Editor({ save, remove, cancel });
const log = new Log({ channelOf });

// --- list --------------------------------------------------------------------------------
function render() {
  const shown = alarms.filter(a => !leaving.has(a.id)), count = k => shown.filter(a => ofAlarm(a) === k).length;
  chips(shown.length, count);
  const list = urgent(shown.filter(a => filter === "all" || ofAlarm(a) === filter));
  const focused = body.contains(document.activeElement) ? [document.activeElement.closest("tr").dataset.id, document.activeElement.className] : null;
  body.replaceChildren(...list.map(row));
  if (focused) {
    const tr = $(`[data-id="${focused[0]}"]`, body);
    if (tr) $(focused[1].includes("switch") ? ".switch" : ".link", tr)?.focus();
  }
  const none = $("#none");
  none.hidden = list.length > 0;
  none.textContent = shown.length ? t("alarms.none_match") : t("alarms.none");
}
const urgent = list => list.sort((a, b) => ORDER.indexOf(ofAlarm(a)) - ORDER.indexOf(ofAlarm(b)) || (b.since ?? 0) - (a.since ?? 0));
function row(a) {
  const c = channelOf(a), name = a.name || (c ? condition(a, c) : a.match);
  const cell = (className, ...content) => el("td", { className, role: "cell" }, ...content);
  return el("tr", { role: "row", "data-id": a.id, "aria-current": a.id === current ? "true" : null, onclick: e => { if (!e.target.closest("input")) edit(a); } },
    cell("st", badge(ofAlarm(a))),
    cell("name", el("button", { className: "link", type: "button" }, name)),
    cell("cond", c ? `${channels.name(c)} ${condition(a, c)}` : t("alarms.no_channel"), el("small", {}, c ? channels.instrument(c) : a.match)),
    cell("since", a.since == null ? "–" : f.age(now() - a.since), a.since == null ? null : el("small", {}, f.full(a.since))),
    cell("on", el("input", { type: "checkbox", role: "switch", className: "switch", checked: a.enabled, "aria-label": t("alarms.switch", { name }),
      onchange: e => toggle(a, e.target.checked) })));
}
function chips(all, count) {
  const box = $("#chips"), focused = box.contains(document.activeElement) ? document.activeElement.dataset.state : null;
  box.replaceChildren(...["all", ...ORDER].filter(k => k === "all" || count(k) || k === filter).map(k =>
    el("button", { className: "chip", "data-state": k, "aria-pressed": String(filter === k), onclick: () => { filter = filter === k ? "all" : k; render(); } },
      k === "all" ? el("span", {}, t("all")) : badge(k), el("b", {}, String(k === "all" ? all : count(k))))));
  if (focused) $(`[data-state="${focused}"]`, box)?.focus();
}

// --- changes -------------------------------------------------------------------------------
const bodyOf = a => ({ name: a.name, match: a.match, operator: a.operator, threshold: a.threshold, low: a.low, high: a.high, enabled: a.enabled });
async function toggle(a, enabled, undone) {
  try {
    await send("PUT", `alarms/${a.id}`, { ...bodyOf(a), enabled });
    if (!undone) toast(t(enabled ? "alarms.switched_on" : "alarms.switched_off", { name: a.name }), () => toggle({ ...a, enabled }, !enabled, true));
  } catch (e) { say(e); }
  await refresh();
}
async function save(alarm) {
  const made = await send(alarm.id ? "PUT" : "POST", alarm.id ? `alarms/${alarm.id}` : "alarms", bodyOf(alarm));
  toast(t("alarms.saved", { name: made.name }));
  await refresh();
  if (phone()) cancel(); else edit(alarms.find(a => a.id === made.id) || made);
  setTimeout(refresh, 7000); // by then a sample has come, and its state is known
}
function remove(a) {
  leaving.add(a.id);
  cancel();
  toast(t("alarms.deleted", { name: a.name }), () => { leaving.delete(a.id); render(); edit(a); }, async () => {
    try { await send("DELETE", `alarms/${a.id}`, undefined, { keepalive: true }); } catch (e) { if (e.status !== 404) say(e); }
    await refresh();
    leaving.delete(a.id);
    render();
  });
}
function edit(a) {
  current = a.id || null;
  document.body.classList.add("editing");
  editor.open(a);
  address();
  for (const tr of body.children) tr.dataset.id === current ? tr.setAttribute("aria-current", "true") : tr.removeAttribute("aria-current");
  if (phone()) { scrollTo(0, 0); $("#editor-title").focus({ preventScroll: true }); }
}
function cancel() {
  document.body.classList.remove("editing");
  const next = phone() ? null : alarms.find(a => a.id === current && !leaving.has(a.id)) || urgent(alarms.filter(a => !leaving.has(a.id)))[0];
  current = next?.id || null;
  if (next) editor.open(next); else editor.close();
  address();
  render();
}
function create(match) { edit({ id: "", name: "", match, operator: ">", enabled: true, state: "unknown" }); }
function address() {
  const q = new URLSearchParams();
  if (!$("#pane-log").hidden) q.set("tab", "log");
  else if (current) q.set("alarm", current);
  history.replaceState(null, "", location.pathname + (q.size ? `?${q}` : ""));
}

// --- data ----------------------------------------------------------------------------------
function say(e) {
  if (!(e instanceof Problem)) throw e;
  const box = $("#problem");
  box.textContent = e.text;
  box.hidden = false;
}
async function refresh() {
  try {
    await refreshAlarms();
    $("#problem").hidden = true;
  } catch (e) { say(e); }
}
let listing = null;
const loadChannels = () => listing ??= (async () => {
  try {
    const { channels: list } = await api("latest").catch(e => { if (e.code === "no_channel") return { channels: [] }; throw e; });
    byKey = new Map(list.map(c => [channels.key(c), c]));
    editor.offer(list);
    $("#new").disabled = !list.length;
    return list;
  } finally { listing = null; }
})();
// follow hears of alarms as they happen, by the channels that have one.
function follow() {
  const named = alarms.filter(a => a.labels).map(channelOf), parts = channels.selectors(named, 1e6).map(s => s.match);
  const match = parts.length > 1 ? channels.around(named) : parts[0];
  if (!match || match === streamed) return;
  stream?.close();
  streamed = match;
  stream = live(match, { alarm: refresh, missed: refresh, state: s => s === "live" && refresh() });
}
onAlarm(({ alarms: list }) => {
  alarms = list;
  render();
  editor.state(alarms.find(a => a.id === current));
  log.refresh();
  follow();
});

// --- tabs ------------------------------------------------------------------------------------
function tab(name) {
  const isLog = name === "log";
  $("#pane-list").hidden = isLog;
  $("#pane-log").hidden = !isLog;
  $("#chips").hidden = isLog;
  for (const [id, on] of [["#tab-list", !isLog], ["#tab-log", isLog]]) { $(id).setAttribute("aria-selected", String(on)); $(id).tabIndex = on ? 0 : -1; }
  if (isLog) document.body.classList.remove("editing");
  log.shown(isLog);
  address();
}
$("#tab-list").onclick = () => { tab("list"); if (phone()) cancel(); };
$("#tab-log").onclick = () => tab("log");
$("#new").onclick = () => { if ($("#pane-list").hidden) tab("list"); create(""); editor.focus(); };

// --- start -----------------------------------------------------------------------------------
(async () => {
  try {
    await loadChannels();
    await refreshAlarms();
    if (started) return;
    started = true;
    const wanted = alarms.find(a => a.id === query.get("alarm"));
    if (query.has("new")) { create(query.get("new")); editor.focus(); }
    else if (wanted) edit(wanted);
    else if (alarms.length && !phone()) cancel();
    if (query.get("tab") === "log") tab("log");
  } catch (e) { say(e); setTimeout(() => location.reload(), 20e3); }
})();
setInterval(() => { if (!document.hidden) { loadChannels().catch(() => {}); render(); } }, 60e3);
