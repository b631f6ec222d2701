// The side of the monitor: one channel's value, day, alarms and facts.
import { api, now } from "./api.js";
import * as channels from "./channels.js";
import { condition, limits } from "./conditions.js";
import { $, el } from "./dom.js";
import * as f from "./format.js";
import { t } from "./i18n.js";
import { learn, points, spark } from "./spark.js";
import { badge } from "./states.js";
import { trail } from "./tree.js";

const box = $("#detail");
let current = null, drawn = null, loading = 0;

// show(channel) fills the side. reload says whether its day is asked for again.
export async function show(channel, reload = true) {
  const other = current !== channel || !box.firstChild;
  current = channel;
  if (!box.offsetParent && getComputedStyle(box).display === "none") return; // a phone
  if (other) { drawn = null; build(channel); }
  update();
  if (other || reload) await load(channel);
}
function build(c) {
  const plot = el("canvas", { className: "day", "aria-hidden": "true" });
  box.replaceChildren(
    el("div", {}, el("p", { className: "crumbs" }, trail(c).join(" › ")), el("h2", {}, c.name, " ", el("small", {}, channels.labelled(c)))),
    el("div", {}, el("p", { className: "big", id: "d-value" }), el("p", { className: "toolbar" }, el("span", { id: "d-state" }), el("small", { className: "push", id: "d-time" }))),
    el("figure", {}, plot, el("figcaption", {}, el("span", { id: "d-from" }), el("span", {}, t("detail.day")), el("span", { id: "d-to" }))),
    el("dl", { className: "facts", id: "d-stats" }),
    el("div", { id: "d-alarms" }),
    el("dl", { className: "facts", id: "d-facts" }),
    el("div", { className: "toolbar" },
      el("a", { className: "button primary", href: channels.lastDay([c]), id: "d-open" }, t("open_viewer")),
      el("a", { className: "button", href: `/alarms?new=${encodeURIComponent(channels.selector(c.labels))}` }, t("alarms.new"))));
}
const facts = list => list.filter(([, v]) => v).flatMap(([k, v]) => [el("dt", {}, k), el("dd", {}, v)]);
// update writes what changes with each sample.
export function update() {
  const c = current;
  if (!c || !$("#d-value")) return;
  const word = !f.isNumber(c.value);
  $("#d-value").className = `big state-text-${c.state}${word ? " word" : ""}`;
  $("#d-value").replaceChildren(el("span", {}, f.value(c, c.value)), word ? "" : el("span", { className: "unit" }, c.properties.unit || ""));
  $("#d-open").href = channels.lastDay([c]);
  $("#d-state").replaceChildren(badge(c.state));
  $("#d-time").textContent = c.time == null ? t("detail.never") : `${f.full(c.time)} · ${f.age(now() - c.time)}`;
  $("#d-alarms").replaceChildren(...c.alarms?.length ? [el("h3", {}, t("detail.alarms")), ...c.alarms.map(a =>
    el("p", { className: "toolbar" }, el("a", { className: `state state-${a.enabled ? a.state : "off"}`, href: `/alarms?alarm=${a.id}` }, a.name || condition(a, c)), el("span", { className: "push" }, condition(a, c))))] : []);
  const p = c.properties;
  $("#d-facts").replaceChildren(...facts([
    [t("detail.interval"), c.interval ? f.span(c.interval) : ""],
    [t("detail.resolution"), p.decimals == null ? "" : f.num(10 ** -p.decimals, p.decimals) + f.unit(p.unit)],
    [t("detail.scaling"), p.scaling || ""],
    ...Object.entries(c.labels).filter(([n]) => n !== "channel" && n !== "instrument"),
  ]));
}
async function load(c) {
  const run = ++loading, at = now();
  try {
    const view = await api("view", { match: channels.selector(c.labels), fields: channels.FIELDS, from: "now-24h", to: "now", buckets: 320 });
    if (run !== loading || current !== c) return;
    drawn = { c, list: points(view, 0), from: at - f.DAY, to: at, width: view.width };
  } catch { return; } // the list says that the server does not answer
  if (!c.day) learn(c, drawn.list, drawn.width);
  const n = drawn.list.reduce((s, p) => s + p.n, 0), range = drawn.list.filter(p => p.mean != null);
  const stat = (label, v) => [label, range.length ? f.withUnit(c, v) : ""];
  $("#d-stats").replaceChildren(...facts([
    stat(t("stat.min"), Math.min(...range.map(p => p.lo))),
    stat(t("stat.mean"), range.reduce((s, p) => s + p.mean * p.n, 0) / n),
    stat(t("stat.max"), Math.max(...range.map(p => p.hi))),
    [t("stat.count"), f.num(n)],
  ]));
  $("#d-from").textContent = f.hm(drawn.from);
  $("#d-to").textContent = f.hm(drawn.to);
  redraw();
}
export function redraw() {
  const cv = $("canvas", box);
  if (cv && drawn) spark(cv, drawn.list, drawn.from, drawn.to, { width: drawn.width, interval: drawn.c.interval, limits: (drawn.c.alarms || []).filter(a => a.enabled).flatMap(limits), band: true });
}
