// The editor of an alarm, with what its condition would have done in the last day.
import { api, now, Problem } from "./api.js";
import * as channels from "./channels.js";
import { $, canvas, css, el, themed } from "./dom.js";
import { fold, limits, line } from "./conditions.js";
import * as f from "./format.js";
import { t } from "./i18n.js";
import { extent, gap, points, split } from "./spark.js";
import { badge, isRange, ofAlarm } from "./states.js";

const form = $("#editor"), field = name => form.elements[name];
const DAY_POINTS = 1000;

export class Editor {
  // on: {save(alarm) that may throw a Problem, remove(alarm), cancel()}.
  constructor(on) {
    this.on = on;
    this.list = [];
    this.days = new Map(); // channel key -> promise of its last day
    form.addEventListener("input", () => this.sync());
    form.onsubmit = e => { e.preventDefault(); this.submit(); };
    $("#cancel").onclick = () => on.cancel();
    $("#delete").onclick = () => on.remove(this.alarm);
    form.addEventListener("keydown", e => { if (e.key === "Escape") on.cancel(); });
    themed(() => this.draw());
    addEventListener("resize", () => this.draw());
  }
  // offer fills in the channels to choose from.
  offer(list) {
    const before = field("channel").value, places = new Map();
    this.list = list;
    for (const c of list) {
      const place = [channels.group(c), channels.app(c), channels.instrument(c)].filter(Boolean).join(" › ");
      places.set(place, [...places.get(place) || [], c]);
    }
    field("channel").replaceChildren(...[...places].map(([label, some]) => el("optgroup", { label }, ...some.map(c => {
      const extra = channels.labelled(c), u = c.properties.unit;
      return el("option", { value: channels.key(c) }, channels.name(c) + (extra ? ` · ${extra}` : "") + (u ? ` (${u})` : ""));
    }))));
    if (before) field("channel").value = before;
  }
  channel() { return this.list.find(c => channels.key(c) === field("channel").value); }
  open(alarm) {
    this.alarm = alarm;
    form.hidden = false;
    $("#editor-error").hidden = true;
    $("#editor-title").textContent = alarm.id ? alarm.name || t("alarms.unnamed") : t("alarms.new");
    $("#delete").hidden = !alarm.id;
    const c = this.list.find(c => alarm.labels ? channels.key(c) === channels.key(alarm) : channels.selector(c.labels) === alarm.match) || (alarm.id ? null : this.list[0]);
    field("name").value = alarm.name;
    field("channel").value = c ? channels.key(c) : "";
    field("operator").value = alarm.operator;
    const first = isRange(alarm.operator) ? alarm.low : alarm.threshold;
    field("first").value = first ?? (f.isNumber(c?.value) ? c.value : "");
    field("high").value = alarm.high ?? "";
    this.state(alarm);
    this.sync();
  }
  close() { this.alarm = null; form.hidden = true; }
  focus() { field("name").focus(); }
  state(alarm) {
    if (!alarm || alarm.id !== this.alarm?.id) return;
    this.alarm = { ...this.alarm, enabled: alarm.enabled };
    $("#editor-state").replaceChildren(...alarm.id ? [badge(ofAlarm(alarm))] : []);
  }
  // value reads the form.
  value() {
    const operator = field("operator").value, c = this.channel(), first = f.decimal(field("first").value), high = f.decimal(field("high").value), range = isRange(operator);
    return {
      id: this.alarm.id, name: field("name").value.trim(), match: c ? channels.selector(c.labels) : this.alarm.match, operator, enabled: this.alarm.enabled,
      threshold: range ? undefined : first, low: range ? first : undefined, high: range ? high : undefined,
    };
  }
  sync() {
    if (!this.alarm) return;
    const v = this.value(), range = isRange(v.operator), c = this.channel(), u = c?.properties.unit;
    $("#high-field").hidden = !range;
    field("high").required = range;
    const of = u ? `, ${u}` : "", unclear = input => input.value.trim() && Number.isNaN(f.decimal(input.value)) ? t("number.unclear") : "";
    $("#first-limit").textContent = t(range ? "alarms.low_limit" : "alarms.limit") + of;
    $("#high-limit").textContent = t("alarms.high_limit") + of;
    field("first").setCustomValidity(unclear(field("first")));
    field("high").setCustomValidity(!range ? "" : unclear(field("high")) || (v.high < v.low ? t("alarms.order") : ""));
    line($("#opline"), v, c);
    this.preview(c);
  }
  async submit() {
    this.sync();
    if (!form.reportValidity()) return;
    const error = $("#editor-error"), button = $(".primary", form);
    button.disabled = true;
    try {
      await this.on.save(this.value());
      error.hidden = true;
    } catch (e) {
      if (!(e instanceof Problem)) throw e;
      error.textContent = e.text;
      error.hidden = false;
    } finally { button.disabled = false; }
  }
  // preview asks for the channel's last day, once a minute at most, and draws it.
  async preview(c) {
    const asked = c && channels.key(c);
    this.day = null;
    if (asked) {
      const known = this.days.get(asked);
      if (!known || now() - known.at > f.MINUTE) this.days.set(asked, { at: now(), day: day(c) });
      try {
        const d = await this.days.get(asked).day;
        if (field("channel").value !== asked) return;
        this.day = d;
      } catch (e) {
        this.days.delete(asked);
        if (!(e instanceof Problem)) throw e;
        $("#preview-text").textContent = e.text;
        return;
      }
    }
    this.draw();
  }
  draw() {
    if (form.hidden || !this.alarm) return;
    const d = this.day, text = $("#preview-text"), place = canvas($("#preview"));
    const range = d && extent(d.list);
    if (!range) { text.textContent = t("alarms.preview_none"); return; }
    const v = this.value(), known = limits(v), complete = known.length === (isRange(v.operator) ? 2 : 1);
    const result = complete ? fold(d.list, v, d) : { spans: [], unknown: 0 };
    if (place) paint(place, d, range, known, result.spans);
    if (!complete) { text.textContent = t("alarms.preview_incomplete"); return; }
    const sum = result.spans.reduce((n, [a, b]) => n + b - a, 0);
    text.replaceChildren(t("alarms.preview_day") + " ", el("b", {}, result.spans.length ? t("alarms.preview_active", { n: result.spans.length, time: f.span(sum) }) : t("alarms.preview_never")),
      result.unknown > 5 * f.MINUTE ? t("alarms.preview_unknown", { time: f.span(result.unknown) }) : "");
  }
}
async function day(c) {
  const view = await api("view", { match: channels.selector(c.labels), fields: channels.FIELDS, from: "now-24h", to: "now", buckets: DAY_POINTS });
  const to = now(), list = points(view, 0);
  return { list, from: to - f.DAY, to, width: view.width };
}
function paint({ g, width: w, height: h }, d, range, known, spans) {
  const foot = 18, x = ms => (ms - d.from) / (d.to - d.from) * w;
  let lo = Math.min(range[0], ...known), hi = Math.max(range[1], ...known);
  const pad = (hi - lo) * 0.1 || 1, y = v => 6 + (hi + pad - v) / (hi - lo + 2 * pad) * (h - foot - 6);
  for (const [a, b] of spans) {
    const left = x(a), size = Math.max(2, x(b) - left);
    g.fillStyle = css("--alarm-soft"); g.fillRect(left, 0, size, h - foot);
    g.fillStyle = css("--alarm"); g.fillRect(left, 0, size, 4);
  }
  g.strokeStyle = css("--alarm");
  g.setLineDash([5, 3]);
  for (const v of known) stroke(g, [[0, y(v)], [w, y(v)]]);
  g.setLineDash([]);
  g.strokeStyle = css("--spark"); g.lineWidth = 1.25; g.lineJoin = "round";
  for (const run of split(d.list, gap(d.list, d.width))) {
    stroke(g, run.flatMap(p => p.lo === p.hi ? [[x(p.t + d.width / 2), y(p.mean)]] : [[x(p.t + d.width / 2), y(p.lo)], [x(p.t + d.width / 2), y(p.hi)]]));
  }
  g.fillStyle = css("--axis"); g.font = `11px ${css("--font")}`; g.textAlign = "center";
  for (let k = 1; k < 4; k++) g.fillText(f.hm(d.from + k * 6 * f.HOUR), w * k / 4, h - 5);
}
function stroke(g, at) {
  g.beginPath();
  at.forEach(([a, b], k) => k ? g.lineTo(a, b) : g.moveTo(a, b));
  g.stroke();
}
