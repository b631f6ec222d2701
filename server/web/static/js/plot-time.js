// Ticks of a time axis in the zone of the device: days and months begin where the
// calendar says, hours at the full hour of the wall clock.
import * as f from "./format.js";

const S = 1e3, MIN = 60 * S, H = 60 * MIN, D = 24 * H;
const STEPS = [.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20, 50, 100, 200, 500, S, 2 * S, 5 * S, 10 * S, 15 * S, 30 * S, MIN, 2 * MIN, 5 * MIN, 10 * MIN, 15 * MIN, 30 * MIN, H, 2 * H, 3 * H, 6 * H, 12 * H, D, 2 * D, 7 * D, 14 * D];
const MONTHS = [1, 2, 3, 6, 12, 24, 60];

// ticks gives the places and the step of labels that are at least `space` of
// `width` pixels apart.
export function ticks(from, to, width, space) {
  const least = (to - from) * space / Math.max(1, width), step = STEPS.find(s => s >= least);
  if (!step) return { step: 30 * D, at: months(from, to, MONTHS.find(m => m * 30 * D >= least) || 120) };
  const at = [];
  if (step >= D) { const d = new Date(from); d.setHours(0, 0, 0, 0); const days = step / D; for (; +d <= to; d.setDate(d.getDate() + 1)) if (+d >= from && Math.round((+d - d.getTimezoneOffset() * MIN) / D) % days === 0) at.push(+d); return { step, at }; }
  const zone = t => -new Date(t).getTimezoneOffset() * MIN;
  let t = Math.ceil((from + zone(from)) / step) * step - zone(from);
  for (let n = 0; t <= to && n < 200; n++) { at.push(t); const next = t + step, shift = zone(next) - zone(t); t = step > H ? next - shift : next; }
  return { step, at };
}
function months(from, to, every) {
  const d = new Date(from), at = []; d.setDate(1); d.setHours(0, 0, 0, 0);
  for (; +d <= to; d.setMonth(d.getMonth() + 1)) if (+d >= from && (d.getFullYear() * 12 + d.getMonth()) % every === 0) at.push(+d);
  return at;
}
const fraction = (t, digits) => "." + String(Math.floor((t - Math.floor(t / S) * S) * 1e3)).padStart(6, "0").slice(0, digits);
// clock gives a time with as many digits as a step needs to tell its ticks apart.
export const clock = (t, step) => step >= MIN ? f.hm(t) : step >= S ? f.hms(t) : f.hms(t) + fraction(t + 1e-4, step >= 1 ? 3 : 6);
// moment is a time in full, for readouts.
export const moment = (t, step, other) => `${f.dm(t, other)} ${clock(t, Math.min(step || S, S))}`;

// labels gives the shortest label that is still unambiguous; the date appears where
// the day changes, the year where it changes and is not the current one.
export function labels({ at, step }) {
  let day = null, year = null;
  return at.map(t => {
    const d = f.iso(t), y = d.slice(0, -6), fresh = d !== day, turned = y !== year && f.dated(t, at[0]); day = d; year = y;
    if (step >= 28 * D) return f.my(t).replace(/(\p{L}{3})\p{L}+/u, "$1");
    if (step >= D) return f.day(t) + (turned ? "\n" + y : "");
    return clock(t, step) + (fresh ? "\n" + f.dm(t, at[0]) : "");
  });
}
