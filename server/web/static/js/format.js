// Numbers, times and ages. The zone is that of the viewing device.
import { now } from "./api.js";
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
    .format(v).replace(/^-(?=[^1-9]*$)/, "").replace("-", "\u2212"); // no zero has a sign
}
// exact shows a number as it was measured, where nothing says how many decimals it
// has: the fewest digits that are this number and no other, at most 12. rough shows one that
// was computed, with 6 digits that count.
export function exact(v) {
  if (v == null || !Number.isFinite(v)) return "–";
  const text = shortest(v);
  if (text.includes("e") || Math.abs(v) >= 1e15) return Number(text).toExponential().replace(/-/g, "\u2212").replace("+", "");
  return num(Number(text), Math.min(20, text.split(".")[1]?.length || 0));
}
export const rough = v => v == null || !Number.isFinite(v) ? "–" : exact(Math.abs(v) >= 1e5 ? Math.round(v) : +v.toPrecision(6));
// What came in single precision or was computed has long tails, which no instrument
// measured: 0.1 is 0.10000000149011612, 3 × 0.1 is 0.30000000000000004.
function shortest(v) {
  const text = String(v);
  if (text.length < 13 || Number.isInteger(v)) return text;
  if (Math.fround(v) === v) for (let digits = 1; digits < 10; digits++) if (Math.fround(+v.toPrecision(digits)) === v) return String(+v.toPrecision(digits));
  return String(+v.toPrecision(12));
}

// decimal reads a number that a person typed, with a point or a comma before its
// decimals. NaN: it is none, or may be meant in two ways, as 1,234.
export function decimal(text) {
  const plain = text.normalize("NFKC").trim().replace("\u2212", "-");
  if (!/^[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?$/i.test(plain) || /[1-9]\d*,\d{3}$/.test(plain)) return NaN;
  return Number(plain.replace(",", "."));
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
const year = ms => new Date(ms).getFullYear();
// dated says whether a day needs its year: it is not the server's, or `other`, the
// other end of a span, is in another.
export const dated = (ms, other = ms) => year(ms) !== year(now()) || year(other) !== year(ms);
export const day = ms => date("dm", { day: "numeric", month: "short" }).format(ms);
export const dm = (ms, other) => dated(ms, other) ? dmy(ms) : day(ms);
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
// age(ms) is a span without milliseconds: how old something is, or in how long it
// will be, where a clock is ahead by more than clocks differ.
const DIFFER = 5e3;
export const age = ms => ms < -DIFFER ? t("span.in", { span: span(Math.floor(-ms / 1e3) * 1e3) }) : span(Math.max(0, Math.floor(ms / 1e3) * 1e3));
