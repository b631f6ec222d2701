// Moving about in time: zoom, pan, wheel, touch. The old picture follows at once;
// the server is asked when the hand rests.
import { now } from "./api.js";
import { $ } from "./dom.js";
import { DAY, dmy } from "./format.js";
import { t } from "./i18n.js";
import { toast } from "./shell.js";
import { span, state } from "./viewer-state.js";
import { plots, redraw, rescale } from "./viewer-panes.js";
import { lanesDraw } from "./viewer-lanes.js";
import { head, legend } from "./viewer-legend.js";
import { load } from "./viewer.js";

const LEAST = 1, MOST = 100 * 366 * DAY; // ms
let timer = 0;

const note = () => { state.past.push([state.from, state.to, state.live]); if (state.past.length > 50) state.past.shift(); };
export function setRange(a, b, { quiet = false, live = false, ahead = false } = {}) {
  if (b - a > MOST) { a = b - MOST; toast(t("viewer.shortened", { from: dmy(a) })); } // the newest stays in view
  const s = Math.max(LEAST, b - a); a = (a + b - s) / 2; b = a + s;
  const last = now() + s / 2; if (b > last && !ahead) { b = last; a = b - s; }
  if (!quiet) note();
  clearTimeout(timer);
  state.from = a; state.to = b; state.live = live; rescale(); head(); load();
}
export function zoomBack() {
  const p = state.past.pop(); if (!p) { toast(t("viewer.first_range")); return; }
  const [a, b, live] = p; setRange(live ? now() - (b - a) : a, live ? now() : b, { quiet: true, live });
}
export const last = hours => setRange(now() - hours * 3600e3, now(), { live: true });
export const shift = k => setRange(state.from + span() * k, state.to + span() * k);
export function scaleBy(k, at = state.cursor ?? (state.live ? state.to : (state.from + state.to) / 2)) {
  const r = (at - state.from) / span(), s = span() * k; setRange(at - r * s, at + (1 - r) * s, { live: state.live && r > .999 });
}
export function follow() {
  if (state.live) { state.live = false; head(); load(); return; }
  setRange(now() - span(), now(), { live: true });
}
// slide moves the picture now and loads when nothing has moved for a moment.
export function slide(a, b) {
  if (b - a < LEAST || b - a > MOST) return;
  state.from = a; state.to = b; state.live = false; rescale(); head();
  clearTimeout(timer); timer = setTimeout(load, 90);
}
export function setMark(at) {
  const step = state.step || 1;
  state.mark = state.mark != null && Math.abs(state.mark - at) < span() / 80 ? null : Math.floor(at / step) * step + step / 2;
  redraw(); lanesDraw(); legend();
}
export function startPan(e) {
  const x0 = e.clientX, a = state.from, b = state.to, w = plots[0].bbox.width / devicePixelRatio, box = $("#panes"); note();
  box.classList.add("panning", "held");
  const move = k => { const d = (k.clientX - x0) / w * (b - a); slide(a - d, b - d); };
  const up = () => { removeEventListener("mousemove", move); removeEventListener("mouseup", up); box.classList.remove("held"); if (!state.pan) box.classList.remove("panning"); };
  addEventListener("mousemove", move); addEventListener("mouseup", up);
}
// Plain wheel scrolls the page; Ctrl zooms at the pointer; sideways or with Shift pans.
let wheeled = 0;
function wheel(e) {
  const first = performance.now() - wheeled > 400;
  if (e.ctrlKey || e.metaKey) {
    e.preventDefault(); if (first) note(); wheeled = performance.now();
    const r = e.currentTarget.getBoundingClientRect(), at = state.from + (e.clientX - r.left) / r.width * span(), k = Math.exp(e.deltaY * .003), a = at - (at - state.from) * k;
    slide(a, a + span() * k);
  } else if (Math.abs(e.deltaX) > Math.abs(e.deltaY) || e.shiftKey) {
    e.preventDefault(); if (first) note(); wheeled = performance.now();
    const d = (e.deltaX || e.deltaY) / e.currentTarget.clientWidth * span(); slide(state.from + d, state.to + d);
  }
}
let clicking = 0;
function clicks(u) { // a click sets the mark, a double click zooms back
  let x = 0, y = 0;
  u.over.addEventListener("mousedown", e => { x = e.clientX; y = e.clientY; });
  u.over.addEventListener("click", e => {
    clearTimeout(clicking);
    if (e.detail > 1) { if (e.detail === 2) zoomBack(); return; }
    if (e.shiftKey || Math.hypot(e.clientX - x, e.clientY - y) > 4) return;
    const at = u.posToVal(e.clientX - u.over.getBoundingClientRect().left, "x"); clicking = setTimeout(() => setMark(at), 230);
  });
}
function touch(over) { // one finger pans, two pinch, a tap sets the crosshair
  const fingers = new Map(); let base = null;
  const start = () => { base = fingers.size ? { xs: [...fingers.values()], a: state.from, b: state.to, w: over.clientWidth, l: over.getBoundingClientRect().left } : null; };
  over.addEventListener("pointerdown", e => { if (e.pointerType !== "touch") return; if (!fingers.size) note(); fingers.set(e.pointerId, e.clientX); start(); });
  over.addEventListener("pointermove", e => {
    if (!fingers.has(e.pointerId)) return; fingers.set(e.pointerId, e.clientX);
    const xs = [...fingers.values()], s = base.b - base.a;
    if (xs.length === 1) { const d = (xs[0] - base.xs[0]) / base.w * s; if (Math.abs(xs[0] - base.xs[0]) > 6) slide(base.a - d, base.b - d); } else if (base.xs.length === 2) {
      const k = Math.max(.05, Math.abs(base.xs[0] - base.xs[1]) / Math.max(8, Math.abs(xs[0] - xs[1]))), m = ((base.xs[0] + base.xs[1]) / 2 - base.l) / base.w, at = base.a + m * s; slide(at - m * s * k, at + (1 - m) * s * k);
    }
  });
  const end = e => { fingers.delete(e.pointerId); start(); };
  over.addEventListener("pointerup", end); over.addEventListener("pointercancel", end);
}
export function movable(u) { touch(u.over); clicks(u); u.over.addEventListener("wheel", wheel, { passive: false }); }
