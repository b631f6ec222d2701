// What every page has: menus, the day ruler, alarm count, shortcuts, toasts.
// import { keys, toast, onAlarm } from "./shell.js".
import { api, now, ready, signOut } from "./api.js";
import { $, $$, el, store } from "./dom.js";
import { DAY, HOUR, hm, offset, zone } from "./format.js";
import { t } from "./i18n.js";

// --- toast -------------------------------------------------------------------------
let toastTimer = 0, toastDone = null;
// toast(text) says something for 4 s. toast(text, undo, done) offers to undo for
// 8 s, then does done; another toast does it at once.
export function toast(text, undo, done) {
  toastDone?.();
  toastDone = done || null;
  const box = $("#toast") || document.body.appendChild(el("output", { id: "toast", className: "toast" }));
  const hide = () => { box.hidden = true; clearTimeout(toastTimer); };
  box.replaceChildren(el("span", {}, text));
  if (undo) box.append(el("button", { className: "button quiet", onclick: () => { toastDone = null; hide(); undo(); } }, t("undo")));
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { hide(); const f = toastDone; toastDone = null; f?.(); }, undo ? 8000 : 4000);
}
addEventListener("pagehide", () => { toastDone?.(); toastDone = null; });

// --- the day ruler: 24 hours, their alarms, now -----------------------------------------
let episodes = [], gaps = [];
// showGaps puts the gaps of what the page shows beside the alarms: [[from, to]…].
export function showGaps(list) { gaps = list; ruler(); }
const at = (ms, from) => ((ms - from) / DAY * 100).toFixed(3) + "%";
function ruler() {
  const box = $("#ruler");
  if (!box) return;
  const to = now(), from = to - DAY, marks = [];
  for (let k = Math.ceil(from / HOUR) * HOUR; k < to; k += HOUR) {
    const h = new Date(k).getHours(), tick = el("i", { className: h % 6 ? "tick" : "tick tick-6" }, h % 6 || to - k < HOUR ? null : el("b", {}, String(h).padStart(2, "0")));
    tick.style.left = at(k, from);
    marks.push(tick);
  }
  const put = (mark, start, end) => { mark.style.left = at(start, from); mark.style.width = ((end - start) / DAY * 100).toFixed(3) + "%"; marks.push(mark); };
  for (const [a, b] of gaps) if (b > from) put(el("i", { className: "span span-gap", title: `${t("viewer.gap")}, ${hm(a)}–${hm(b)}` }), Math.max(a, from), Math.min(b, to));
  for (const e of episodes) {
    if ((e.to ?? to) < from) continue;
    const start = Math.max(e.from, from), text = `${e.name}, ${hm(e.from)}–${e.to ? hm(e.to) : t("now")}`;
    put(el("a", { className: "span", href: `/viewer?alarm=${encodeURIComponent(e.alarm)}&at=${e.from}`, title: text, "aria-label": text }), start, Math.min(e.to ?? to, to));
  }
  const place = links.indexOf(document.activeElement);
  box.replaceChildren(...marks);
  links = $$("a", box);
  step(place < 0 ? links.length - 1 : Math.min(place, links.length - 1), place >= 0);
}
// The marks are one stop of the tab key, the newest; arrows go from one to the next.
let links = [];
function step(i, focus) {
  links.forEach((a, k) => { a.tabIndex = k === i ? 0 : -1; });
  if (focus) links[i]?.focus();
}
function stepping(e) {
  const i = links.indexOf(e.target), to = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: links.length - 1 }[e.key];
  if (i < 0 || to == null) return;
  e.preventDefault();
  step(Math.max(0, Math.min(links.length - 1, to)), true);
}
// pair makes episodes of start and end events, oldest first.
export function pair(events, alarms = []) {
  const open = new Map(), out = [];
  for (const e of events) {
    const id = `${e.alarm}/${e.version}`;
    if (e.kind === "start") { const x = { alarm: e.alarm, name: e.name, from: e.time, to: null }; open.set(id, x); out.push(x); }
    else if (open.has(id)) { open.get(id).to = e.time; open.delete(id); }
    else out.push({ alarm: e.alarm, name: e.name, from: e.time - DAY, to: e.time }); // began before
  }
  for (const x of out) { // one that is not active any more was replaced or deleted: its end is not known
    const alarm = alarms.find(a => a.id === x.alarm);
    if (x.to == null && !(alarm && alarm.enabled && alarm.state === "active")) x.to = x.from;
  }
  for (const a of alarms) { // active since before the span
    if (a.enabled && a.state === "active" && !out.some(x => x.alarm === a.id && x.to == null)) out.push({ alarm: a.id, name: a.name, from: a.since, to: null });
  }
  return out;
}

const listeners = [];
// onAlarm(fn) calls fn({ alarms, events }) at first and whenever alarms change.
export const onAlarm = fn => listeners.push(fn);
let asking = null;
// refreshAlarms asks for alarms and the events of the last day.
export function refreshAlarms() {
  return asking ??= (async () => {
    try {
      const [{ alarms }, { events }] = await Promise.all([api("alarms"), api("events", { from: Math.floor(now() - DAY) + "000000", limit: 10000 })]);
      const active = alarms.filter(a => a.enabled && a.state === "active").length, count = $("#alarm-count");
      count.hidden = !active;
      count.textContent = active;
      count.setAttribute("aria-label", t("nav.active", { n: active }));
      episodes = pair(events, alarms);
      ruler();
      for (const fn of listeners) fn({ alarms, events });
    } finally { asking = null; }
  })();
}

// --- menus ----------------------------------------------------------------------------------
function menu() {
  const language = $("#language"), zoneText = $("#zone");
  if (zoneText) zoneText.textContent = `${zone()}, ${offset()}`;
  if (language) language.onchange = () => {
    document.cookie = `hokan_language=${language.value}; path=/; max-age=31536000; samesite=strict`;
    const url = new URL(location);
    url.searchParams.delete("lang");
    url.href === location.href ? location.reload() : location.replace(url);
  };
  for (const r of $$("#theme input")) {
    r.checked = r.value === (document.documentElement.dataset.choice || "auto");
    r.onchange = () => { store("theme", r.value === "auto" ? null : r.value); dispatchEvent(new CustomEvent("hokan:choose-theme", { detail: r.value })); };
  }
  const help = $("#help"), out = $("#sign-out");
  if (help) $("#help-open").onclick = () => { $("#user-pop").hidePopover(); help.showModal(); };
  if (out) out.onclick = async () => { try { await signOut(); } finally { location.href = "/login"; } };
}
// Popovers open under their button; the native popover gives Esc and light dismiss.
function popovers() {
  for (const p of $$("[popover]")) p.addEventListener("toggle", e => {
    const button = $(`[popovertarget="${p.id}"]`);
    if (e.newState !== "open" || !button) return;
    const r = button.getBoundingClientRect();
    p.style.top = `${Math.min(r.bottom + 6, Math.max(8, innerHeight - p.offsetHeight - 8))}px`;
    p.style.left = `${Math.max(8, Math.min(r.left, innerWidth - p.offsetWidth - 8))}px`;
  });
}
function dialogs() {
  for (const b of $$("dialog [data-close]")) b.addEventListener("click", () => b.closest("dialog").close());
  for (const d of $$("dialog")) d.addEventListener("click", e => { if (e.target === d) d.close(); });
}

// --- keyboard -------------------------------------------------------------------------------
const GO = { m: "monitor", v: "viewer", a: "alarms" };
let leader = 0;
export const keys = new Map(); // a page's shortcuts: key -> function(event)
function tabs(e) {
  const all = $$("[role=tab]", e.target.closest("[role=tablist]")), i = all.indexOf(e.target);
  const next = all[(i + (e.key === "ArrowLeft" ? all.length - 1 : 1)) % all.length];
  next.focus(); next.click();
}
addEventListener("keydown", e => {
  if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || $("dialog[open]")) return;
  if (e.target.closest?.("input:not([type=checkbox]):not([type=radio]),select,textarea")) return;
  if (e.target.closest?.("[role=tablist]") && /^Arrow(Left|Right)$/.test(e.key)) { tabs(e); e.preventDefault(); return; }
  if (leader && performance.now() - leader < 900 && GO[e.key]) { location.href = "/" + GO[e.key]; return; }
  leader = e.key === "g" ? performance.now() : 0;
  if (e.key === "?" && $("#help")) { $("#help").showModal(); e.preventDefault(); return; }
  const search = $("main input[type=search]");
  if (e.key === "/" && search) { search.focus(); search.select(); e.preventDefault(); return; }
  const own = keys.get(e.key);
  if (own) { e.preventDefault(); own(e); }
});

menu(); popovers(); dialogs();
if ($("#ruler")) {
  $("#ruler").addEventListener("keydown", stepping);
  ruler();
  setInterval(ruler, 60e3);
  const again = () => ready().then(refreshAlarms).catch(() => {}); // each page says itself what fails
  again();
  setInterval(() => { if (!document.hidden) again(); }, 60e3);
}
document.documentElement.classList.add("ready");
