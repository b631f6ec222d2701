// States of channels and alarms: shape, word and colour together.
import { el } from "./dom.js";
import { t } from "./i18n.js";

// The state that a value that is no number means.
export const OF_VALUE = { over: "over", under: "over", burnout: "open", nodata: "nodata", math: "math", NaN: "math" };

// badge("alarm") is the mark with its word. States: alarm, over, open, nodata,
// math, late, ahead, ended, ok; of alarms: active, normal, unknown, off.
export const badge = state => el("span", { className: `state state-${state}` }, t("state." + state));

// ofAlarm gives the state of an alarm's body.
export const ofAlarm = alarm => alarm.enabled ? alarm.state : "off";
export const isRange = operator => operator.startsWith("outside");
export const SIGN = { ">": ">", ">=": "≥", "<=": "≤", "<": "<" };

// holds(operator, v, low, high): whether a condition is true of a number; for
// operators with one threshold it is low.
export function holds(operator, v, low, high) {
  switch (operator) {
    case ">": return v > low;
    case ">=": return v >= low;
    case "<=": return v <= low;
    case "<": return v < low;
    case "outside": return v < low || v > high;
    default: return v <= low || v >= high;
  }
}
