// What an alarm looks for, in words, on a number line, and in the last day.
import { svg } from "./dom.js";
import * as f from "./format.js";
import { t } from "./i18n.js";
import { holds, isRange, SIGN } from "./states.js";
import { gap } from "./spark.js";

// limit(channel, v) shows a limit with the channel's decimals, or with more
// where it has more.
export function limit(channel, v) {
  if (!f.isNumber(v)) return "?";
  const written = String(v).split(".")[1]?.length || 0, decimals = Math.max(channel?.properties?.decimals ?? 0, /e/.test(String(v)) ? 0 : written);
  return (/e/.test(String(v)) ? f.exact(v) : f.num(v, Math.min(decimals, 20))) + f.unit(channel?.properties?.unit);
}

// condition(alarm, channel) says what an alarm looks for: "> 72.0 °C".
export function condition(alarm, channel) {
  if (!isRange(alarm.operator)) return `${SIGN[alarm.operator]} ${limit(channel, alarm.threshold)}`;
  const [below, above] = alarm.operator === "outside" ? ["<", ">"] : ["≤", "≥"];
  return t("alarms.range", { below: `${below} ${limit(channel, alarm.low)}`, above: `${above} ${limit(channel, alarm.high)}` });
}
export const limits = alarm => (isRange(alarm.operator) ? [alarm.low, alarm.high] : [alarm.threshold]).filter(f.isNumber);

// line draws the condition as a number line: a filled end belongs to the alarm,
// a hollow one does not.
export function line(box, alarm, channel) {
  const range = isRange(alarm.operator), [x0, x1, y] = [8, 352, 12], a = range ? 120 : 180, b = 240;
  const included = ["<=", ">=", "outside_or_equal"].includes(alarm.operator);
  const part = (from, to) => svg("path", { d: `M${from} ${y}H${to}`, class: "on" });
  const dot = x => svg("circle", { cx: x, cy: y, r: 5, class: included ? "dot filled" : "dot" });
  const text = (x, v) => svg("text", { x, y: 31, "text-anchor": "middle" }, limit(channel, v));
  const on = range ? [part(x0, a), part(b, x1)] : alarm.operator[0] === ">" ? [part(a, x1)] : [part(x0, a)];
  box.replaceChildren(svg("path", { d: `M${x0} ${y}H${x1}`, class: "axis" }), ...on, dot(a), text(a, range ? alarm.low : alarm.threshold),
    ...range ? [dot(b), text(b, alarm.high)] : []);
}

// fold gives what a condition would have done over points of a view, as near as
// buckets tell: {spans: [[from, to]], unknown: ms without a number}. A sample
// that is no number leaves the state as it is.
export function fold(list, alarm, { width, to }) {
  const low = isRange(alarm.operator) ? alarm.low : alarm.threshold, test = v => holds(alarm.operator, v, low, alarm.high);
  const most = gap(list, width), spans = [];
  let start = null, unknown = 0, last = null;
  for (const p of list) {
    if (last != null && p.t - last > most) unknown += p.t - last;
    last = p.t;
    if (p.mean == null) { unknown += width; continue; }
    const some = test(p.lo) || test(p.hi), end = f.isNumber(p.last) ? test(p.last) : some;
    if (some && start == null) start = p.t;
    if (start != null && !end) { spans.push([start, p.t + width]); start = null; }
  }
  if (last != null && to - last > most) unknown += to - last;
  if (start != null) spans.push([start, to]);
  return { spans, unknown };
}
