// Numbers, times and ages. The zone is that of the viewing device.
import { lang, t } from "./i18n.js";

export const MINUTE = 60e3, HOUR = 3600e3, DAY = 24 * HOUR;
const THIN = "\u202f";
const cache = new Map();
function memo(key, make) {
  if (!cache.has(key)) cache.set(key, make());
  return cache.get(key);
}

export function num(v, decimals = 0) {
  if (v == null || !Number.isFinite(v)) return "–";
  return memo(`n${decimals}`, () => new Intl.NumberFormat(lang, { minimumFractionDigits: decimals, maximumFractionDigits: decimals, useGrouping: "min2" }))
    .format(v).replace("-", "\u2212");
}
// exact shows a number as it is, where nothing says how many decimals it has.
export function exact(v) {
  if (v === 0 || Math.abs(v) >= 1e-4 && Math.abs(v) < 1e9) {
    return memo("x", () => new Intl.NumberFormat(lang, { maximumSignificantDigits: 6, useGrouping: "min2" })).format(v).replace("-", "\u2212");
  }
  return v.toExponential(4).replace(/-/g, "\u2212");
}

// The strings that stand for a value that is no number; see WORDS in states.js.
export const isNumber = v => typeof v === "number";

// value(channel, v) is a sample's value as it is read: with the decimals of the
// channel's resolution, or a word ("over range").
export function value(channel, v) {
  if (v == null) return "–";
  if (typeof v === "string") return t("value." + v);
  const decimals = channel?.properties?.decimals;
  return decimals == null ? exact(v) : num(v, decimals);
}
export const unit = u => u ? THIN + u : "";
export const withUnit = (channel, v) => value(channel, v) + (isNumber(v) ? unit(channel?.properties?.unit) : "");

const date = (key, options) => memo(`d${key}`, () => new Intl.DateTimeFormat(lang, { hourCycle: "h23", ...options }));
export const hm = ms => date("hm", { hour: "2-digit", minute: "2-digit" }).format(ms);
export const hms = ms => date("hms", { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);
export const dm = ms => date("dm", { day: "numeric", month: "short" }).format(ms);
export const dmy = ms => date("dmy", { day: "numeric", month: "short", year: "numeric" }).format(ms);
export const my = ms => date("my", { month: "long", year: "numeric" }).format(ms);
export const full = ms => `${dm(ms)} ${hms(ms)}`;
const two = n => String(n).padStart(2, "0");
export function iso(ms) {
  const d = new Date(ms);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}
export function stamp(ms) {
  const d = new Date(ms);
  return `${iso(ms)} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}
export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
export function offset(ms = Date.now()) {
  const m = -new Date(ms).getTimezoneOffset(), a = Math.abs(m);
  return `UTC${m < 0 ? "\u2212" : "+"}${two(Math.floor(a / 60))}:${two(a % 60)}`;
}

// span(ms) has two parts at most: 42 s, 14 min, 3 h 10, 2 d 4 h.
export function span(ms) {
  if (!Number.isFinite(ms)) return "–";
  const part = (n, key) => n + THIN + t("span." + key);
  if (ms < 0) ms = 0;
  if (ms < 1e3 && ms > 0) return part(Math.round(ms), "ms");
  const s = Math.round(ms / 1e3);
  if (s < 90) return part(s, "s");
  const m = Math.round(s / 60);
  if (m < 60) return part(m, "min");
  const h = Math.floor(m / 60), rest = m % 60;
  if (h < 24) return rest ? t("span.h_min", { h, m: two(rest) }) : part(h, "h");
  const d = Math.floor(h / 24);
  return part(d, "d") + (h % 24 && d < 10 ? " " + part(h % 24, "h") : "");
}
// age(ms) is a span without milliseconds: how old something is.
export const age = ms => span(Math.max(0, Math.floor(ms / 1e3) * 1e3));
