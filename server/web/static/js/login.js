// Sign-in: a token is exchanged for the session's cookie.
import { Problem, signIn } from "./api.js";
import { $, still } from "./dom.js";
import { t } from "./i18n.js";
import "./shell.js";

const form = $("#form"), field = $("#token"), error = $("#error"), button = $("button", form);
const next = new URLSearchParams(location.search).get("next") || "";
// Only a path of this host is gone to, as the browser itself reads it.
function destination() {
  try {
    const url = new URL(next, location.origin);
    if (next.startsWith("/") && url.origin === location.origin) return url.pathname + url.search;
  } catch { /* it is no address */ }
  return "/monitor";
}
const target = destination();

function refuse(text) {
  error.textContent = text;
  error.hidden = false;
  field.setAttribute("aria-invalid", "true");
  field.focus();
  field.select();
}
async function enter(token) {
  button.disabled = true;
  try {
    await signIn(token);
    location.replace(target);
  } catch (e) {
    if (!(e instanceof Problem)) throw e;
    refuse(e.text);
  } finally { button.disabled = false; }
}
form.onsubmit = e => {
  e.preventDefault();
  error.hidden = true;
  field.removeAttribute("aria-invalid");
  // What is pasted may be the whole address that the demo prints.
  const token = field.value.trim().replace(/^.*#token=/, "");
  token ? enter(token) : refuse(t("login.empty"));
};
const why = new URLSearchParams(location.search);
if (why.has("refused")) refuse(t("error.unauthorized"));
if (why.has("unreadable")) refuse(t("error.cannot_read"));
field.focus();

// --- a strip chart: analogue curves, held sample by sample --------------------------------
const cv = $("#art"), g = cv.getContext("2d"), STEP = 22, NOTCH = 5.5;
const CURVES = [["#6fd3d6", 0.3, 0.13, 1], ["#e9b25c", 0.52, 0.09, 2.3], ["#9db7ff", 0.72, 0.07, 3.1]];
function grid(w, h, shift, first) {
  g.lineWidth = 1;
  const rule = (k, x0, y0, x1, y1) => { g.strokeStyle = k % 5 ? "#1d2926" : "#2b3935"; g.beginPath(); g.moveTo(x0, y0); g.lineTo(x1, y1); g.stroke(); };
  for (let x = -shift, k = first; x < w + STEP; x += STEP, k++) rule(k, x, 0, x, h);
  for (let y = 0, k = 0; y < h; y += STEP, k++) rule(k, 0, y + 0.5, w, y + 0.5);
}
function curve(time, h, pen, shift, [color, base, size, speed], n) {
  const at = x => {
    const u = time + (x - pen) * 60;
    return h * (base - size * (Math.sin(u * 0.00021 * speed + n) + 0.5 * Math.sin(u * 0.00067 * speed + 2 * n) + 0.22 * Math.sin(u * 0.0017 + n)));
  };
  const held = x => Math.round(at(x) / NOTCH) * NOTCH;
  g.strokeStyle = g.fillStyle = color; g.globalAlpha = 0.32; g.lineWidth = 1.25; g.beginPath();
  for (let x = 0; x <= pen; x += 3) g.lineTo(x, at(x));
  g.stroke(); g.globalAlpha = 1; g.lineWidth = 2; g.beginPath();
  for (let x = -shift; x <= pen; x += STEP) { g.lineTo(x, held(x)); g.lineTo(Math.min(x + STEP, pen), held(x)); }
  g.stroke();
  let y = 0;
  for (let x = -shift; x <= pen; x += STEP) { y = held(x); g.beginPath(); g.arc(x, y, 2.6, 0, 7); g.fill(); }
  g.fillStyle = "#f0604c"; g.beginPath(); g.arc(pen, y, 4.5, 0, 7); g.fill();
}
function draw(time) {
  const w = cv.clientWidth, h = cv.clientHeight, ratio = devicePixelRatio || 1;
  if (!w) return;
  cv.width = w * ratio; cv.height = h * ratio;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  const shift = (time / 60) % STEP, pen = w - STEP * 3;
  grid(w, h, shift, Math.floor(time / 60 / STEP));
  CURVES.forEach((c, n) => curve(time, h, pen, shift, c, n));
}
const START = 9e6;
draw(START);
addEventListener("resize", () => draw(START));
if (!still()) {
  const begun = performance.now(), loop = at => { if (!document.hidden) draw(START + at - begun); requestAnimationFrame(loop); };
  requestAnimationFrame(loop);
}
