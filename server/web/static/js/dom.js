// Helpers for the page: elements, icons, storage, themes.
export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

const SVG = "http://www.w3.org/2000/svg";
const ICONS = new URL("../img/icons.svg", import.meta.url).href;

// el("button", { className: "button", onclick: go }, "Go", child…): properties
// that are text become attributes; null and false are left out. There are no
// style attributes (the content policy forbids them): use classes, or vars.
export function el(tag, properties = {}, ...children) {
  const e = document.createElement(tag);
  fill(e, properties);
  e.append(...children.flat().filter(c => c != null && c !== false));
  return e;
}
function fill(e, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (name in e && typeof value !== "string" && !/^(list|form|width|height)$/.test(name)) e[name] = value;
    else e.setAttribute(name === "className" ? "class" : name, value === true ? "" : value);
  }
}
export function svg(tag, attributes = {}, ...children) {
  const e = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value != null) e.setAttribute(name, value);
  e.append(...children);
  return e;
}
export const icon = name => svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `${ICONS}#${name}` }));
export const clone = id => document.getElementById(id).content.firstElementChild.cloneNode(true);

// store("theme") reads, store("theme", "dark") writes, store("theme", null) forgets.
export function store(key, value) {
  try {
    if (value === undefined) return localStorage.getItem("hokan." + key);
    value === null ? localStorage.removeItem("hokan." + key) : localStorage.setItem("hokan." + key, value);
  } catch { /* storage is off: nothing is remembered */ }
  return null;
}

// css("--alarm") reads a token for a canvas; themed(draw) draws again when the
// theme changes.
export const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const themed = fn => document.addEventListener("hokan:theme", fn);
export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
export const phone = () => innerWidth <= 860;

// canvas(cv) sizes a canvas to its box and gives a context in CSS pixels.
export function canvas(cv) {
  const width = cv.clientWidth, height = cv.clientHeight, ratio = devicePixelRatio || 1;
  if (!width || !height) return null;
  cv.width = Math.round(width * ratio); cv.height = Math.round(height * ratio);
  const g = cv.getContext("2d");
  g.scale(ratio, ratio);
  return { g, width, height };
}

// 8 colours that a colour-blind reader can tell apart, times 4 dashes: 32
// styles by position; the number stands beside the line as well.
export const DASH = [[], [7, 3], [2, 2.5], [9, 3, 2, 3]];
export const style = i => ({ color: css(`--ch-${i % 8 + 1}`), dash: DASH[Math.floor(i / 8) % 4], n: i + 1 });
export function swatch(i) {
  const line = svg("path", { d: "M0 5H18", class: `ch-${i % 8 + 1}`, "stroke-dasharray": DASH[Math.floor(i / 8) % 4].join(" ") || null });
  return el("span", { className: "swatch" }, svg("svg", { viewBox: "0 0 18 10", "aria-hidden": "true" }, line), el("b", {}, String(i + 1)));
}
