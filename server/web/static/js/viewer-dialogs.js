// What opens over the viewer: time range with calendar, the choice of channels, and
// the settings of a vertical axis.
import { now } from "./api.js";
import { MAX } from "./channels.js";
import { $, $$, el } from "./dom.js";
import * as f from "./format.js";
import { lang, t } from "./i18n.js";
import { channels, path } from "./viewer-data.js";
import { legend } from "./viewer-legend.js";
import { last, setRange } from "./viewer-move.js";
import { draw, plots } from "./viewer-panes.js";
import { choose, state } from "./viewer-state.js";
import { load } from "./viewer.js";

// --- time range ----------------------------------------------------------------------
let month = new Date(), first = null;
const input = ms => f.stamp(ms).replace(" ", "T");
const fill = (a, b) => { $("#from").value = input(a); $("#to").value = input(b); };
const dayAfter = ms => { const d = new Date(ms); d.setDate(d.getDate() + 1); return +d; };
function calendar() {
  const y = month.getFullYear(), m = month.getMonth(), start = new Date(y, m, 1 - (new Date(y, m, 1).getDay() + 6) % 7), box = $("#calendar"), today = now(), weekday = new Intl.DateTimeFormat(lang, { weekday: "narrow" });
  $("#month").textContent = f.my(month); box.replaceChildren(...Array.from({ length: 7 }, (_, i) => el("span", {}, weekday.format(new Date(2024, 0, 1 + i)))));
  const a = first ?? state.from, b = first ?? state.to - 1;
  for (let i = 0; i < 42; i++) {
    const d = new Date(start); d.setDate(start.getDate() + i); if (i === 35 && d.getMonth() !== m) break;
    const day = +d, end = dayAfter(day), alarmed = state.episodes.some(e => e.from < end && (e.to ?? today) > day && day <= today), edge = f.iso(day) === f.iso(a) || f.iso(day) === f.iso(b);
    box.append(el("button", { type: "button", disabled: day > today, className: [end > a && day <= b && "in", edge && "edge", f.iso(day) === f.iso(today) && "today", alarmed && "ev", d.getMonth() !== m && "other"].filter(Boolean).join(" "), "aria-pressed": String(edge), "aria-label": f.dmy(day) + (alarmed ? ", " + t("viewer.alarms") : ""), onclick: () => pickDay(day) }, String(d.getDate())));
  }
}
// One day is a span; a second makes it reach from the one to the other.
function pickDay(day) {
  const a = first == null ? day : Math.min(first, day), b = dayAfter(first == null ? day : Math.max(first, day));
  fill(a, Math.min(b, now())); first = first == null ? day : null; calendar();
  const place = $$("#calendar button").find(k => k.getAttribute("aria-label").startsWith(f.dmy(day))); place?.focus();
}
$("#range-pop").addEventListener("beforetoggle", e => {
  if (e.newState !== "open") return;
  first = null; month = new Date(state.to); month.setDate(1); fill(state.from, state.to); $("#range-error").textContent = ""; $("#range-zone").textContent = `${f.zone()}, ${f.offset(state.to)}`; calendar();
});
$("#month-before").onclick = () => { month.setMonth(month.getMonth() - 1); calendar(); };
$("#month-after").onclick = () => { month.setMonth(month.getMonth() + 1); calendar(); };
$("#range-form").onsubmit = e => {
  e.preventDefault(); const a = +new Date($("#from").value), b = +new Date($("#to").value);
  if (!(b > a)) { $("#range-error").textContent = t("viewer.bad_range"); $("#from").focus(); return; }
  $("#range-pop").hidePopover(); setRange(a, b);
};
for (const b of $$("[data-hours]")) b.addEventListener("click", () => { last(+b.dataset.hours); if ($("#range-pop").matches(":popover-open")) $("#range-pop").hidePopover(); });
$("#range-all").onclick = async () => {
  const keys = new Set(state.channels.map(c => c.key)), mine = (await known()).filter(c => keys.has(c.key) && c.samples); $("#range-pop").hidePopover();
  if (mine.length) { const a = Math.min(...mine.map(c => c.first)), b = Math.max(...mine.map(c => c.last)) + 1; setRange(a - (b - a) * .01, b + (b - a) * .01); }
};

// --- channels ------------------------------------------------------------------------
let all = null;
const known = async () => all = await channels("{}");
const SHOWN = 600; // entries at once; the search finds the rest
let want = new Map();
const refuse = () => { $("#pick-error").textContent = t("viewer.too_many", { n: MAX }); };
const count = () => { $("#pick-count").textContent = `${want.size} / ${MAX}`; };
function tick(c, box) {
  $("#pick-error").textContent = "";
  if (box.checked && want.size >= MAX) { box.checked = false; refuse(); return; }
  box.checked ? want.set(c.key, c) : want.delete(c.key); count();
}
function entries() {
  const q = $("#pick-find").value.trim().toLowerCase(), found = (all || []).filter(c => !q || (path(c).join(" ") + " " + c.unit).toLowerCase().includes(q)), groups = Map.groupBy ? Map.groupBy(found.slice(0, SHOWN), c => c.instrument) : new Map([["", found.slice(0, SHOWN)]]);
  $("#pick-list").replaceChildren(...[...groups].map(([instrument, list]) => el("section", {}, el("h3", {}, [list[0].group, instrument].filter(Boolean).join(" › ")), list.map(c => el("label", { title: path(c).join(" › ") }, el("input", { type: "checkbox", checked: want.has(c.key), onchange: e => tick(c, e.target) }), el("span", {}, c.name), el("span", { className: "unit" }, c.unit))))));
  const note = $("#pick-none-match"); note.hidden = found.length > 0 && found.length <= SHOWN; note.textContent = found.length ? t("viewer.more_match", { n: f.num(found.length - SHOWN) }) : t("viewer.none_match");
}
export async function openPick() {
  want = new Map(state.channels.map(c => [c.key, c])); $("#pick-find").value = ""; $("#pick-error").textContent = "";
  const box = $("#pick"); box.returnValue = ""; count(); entries(); box.showModal(); $("#pick-find").focus();
  try { await known(); entries(); } catch (e) { $("#pick-error").textContent = e.text || String(e); }
}
$("#pick").addEventListener("close", () => { if ($("#pick").returnValue !== "ok") return; const keep = state.channels.filter(c => want.has(c.key)), had = new Set(keep.map(c => c.key)); choose([...keep, ...[...want.values()].filter(c => !had.has(c.key))]); load(); });
$("#pick-clear").onclick = () => { want.clear(); $("#pick-error").textContent = ""; for (const i of $$("#pick-list input")) i.checked = false; count(); };
$("#pick-find").oninput = entries;
$("#pick-find").onkeydown = e => { if (e.key === "Enter") e.preventDefault(); };
$("#add").onclick = $("#add-first").onclick = openPick;

// --- vertical axis ---------------------------------------------------------------------
let axis = null;
export function axisBox({ key, unit }) {
  const scale = plots.find(k => k.scales[key]).scales[key], own = state.axes[key] || { auto: true }; axis = key;
  $("#axis-title").textContent = t("viewer.axis_of", { unit: unit || t("viewer.no_unit") }); $("#axis-auto").checked = own.auto; $("#axis-min").value = +scale.min.toPrecision(5); $("#axis-max").value = +scale.max.toPrecision(5); $("#axis-limits").checked = state.showLimits; $("#axis-band").checked = state.showBand;
  enable(); for (const field of [$("#axis-min"), $("#axis-max")]) field.setCustomValidity(""); $("#axis").returnValue = ""; $("#axis").showModal();
}
for (const field of [$("#axis-min"), $("#axis-max")]) field.oninput = () => field.setCustomValidity(Number.isNaN(f.decimal(field.value)) ? t("number.unclear") : "");
const enable = () => { $("#axis-min").disabled = $("#axis-max").disabled = $("#axis-auto").checked; };
$("#axis-auto").onchange = enable;
$("#axis").addEventListener("close", () => {
  if ($("#axis").returnValue !== "ok") return;
  state.axes[axis] = { auto: $("#axis-auto").checked, min: f.decimal($("#axis-min").value), max: f.decimal($("#axis-max").value) }; state.showLimits = $("#axis-limits").checked; state.showBand = $("#axis-band").checked; draw(); legend();
});
