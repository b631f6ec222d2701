// The API: fetch with errors as values of class Problem, the session, and live
// events.
import { el, store } from "./dom.js";
import { t } from "./i18n.js";

// Problem is an answer of the API that says no, or the lack of one (status 0).
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail || code);
    this.status = status; this.code = code; this.detail = detail;
  }
  // text is what a reader is told: the catalogue's words, with the server's where
  // they say more.
  get text() {
    const known = t("error." + this.code), listed = known !== "error." + this.code, words = listed ? known : t("error.other");
    return this.detail && (!listed || /^(invalid|bad_)/.test(this.code)) ? `${words} (${this.detail})` : words;
  }
}

// toLogin leaves for the sign-in page, which comes back here.
export function toLogin() {
  store("session", null);
  if (location.pathname === "/login") return;
  const here = location.pathname + location.search;
  location.replace("/login" + (here === "/" || here === "/monitor" ? "" : "?next=" + encodeURIComponent(here)));
}

// left leaves the page: what waits for an answer waits for ever.
function left() { toLogin(); return new Promise(() => {}); }

// A token in the address (#token=…) is taken out of it at once and exchanged
// for the session's cookie before anything is asked. Where another session would
// end by that, the reader decides: a link must not put data of others on screen.
let session = Promise.resolve();
const given = /^#token=([^&]+)/.exec(location.hash);
if (given) {
  history.replaceState(null, "", location.pathname + location.search);
  session = enter(decodeURIComponent(given[1])).catch(e => { location.replace("/login" + ({ 401: "?refused", 403: "?unreadable" }[e.status] || "")); return new Promise(() => {}); });
} else if (location.pathname !== "/login" && !store("session")) {
  // Nothing tells of a session: one question finds out, not all that the page has.
  session = ask("/api/v1/alarms").then(() => {}, e => e.status === 401 ? left() : null);
}
async function enter(token) {
  const before = store("session");
  if (before && before !== mark(token) && await ask("/api/v1/alarms").then(() => true, e => e.status !== 401) && !await agreed()) return;
  await signIn(token);
}
function agreed() {
  return new Promise(done => {
    const box = el("dialog", { id: "replace", "aria-labelledby": "replace-text", onclose: () => { box.remove(); done(box.returnValue === "yes"); } },
      el("form", { method: "dialog" }, el("div", { className: "dialog-body" }, el("p", { id: "replace-text" }, t("login.replace"))),
        el("div", { className: "dialog-foot" }, el("button", { className: "button", value: "no" }, t("login.keep")), el("button", { className: "button push", value: "yes" }, t("login.change")))));
    document.body.append(box);
    box.showModal();
  });
}
export async function signIn(token) {
  // One that cannot read would end the session there is for pages without data.
  await ask("/api/v1/alarms", { token }).catch(e => { throw e.status === 403 ? new Problem(403, "cannot_read", "") : e; });
  await ask("/api/v1/session", { method: "POST", body: { token } });
  store("session", mark(token));
}
export const signOut = () => { store("session", null); return ask("/api/v1/session", { method: "DELETE" }); };
// mark tells two tokens apart, for the most part, and tells nothing of them: 32 bits
// (FNV-1a). A script cannot read the session's token itself.
function mark(token) { return [...token].reduce((h, c) => Math.imul(h ^ c.codePointAt(0), 0x01000193), 0x811c9dc5).toString(36); }
export const ready = () => session;

async function ask(path, { method = "GET", body, signal, keepalive, token } = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method, signal, keepalive, credentials: "same-origin", cache: "no-store",
      headers: { ...body === undefined ? {} : { "Content-Type": "application/json" }, ...token === undefined ? {} : { Authorization: `Bearer ${token}` } },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new Problem(0, "offline", "");
  }
  if (answer.status === 204) return null;
  const text = await answer.text();
  let content = {};
  try { content = JSON.parse(text); } catch { /* an answer of something in between */ }
  if (answer.ok) return content;
  throw new Problem(answer.status, content.code || "other", content.detail || "");
}

// api("view", { match, from, to, buckets }) asks GET /api/v1/view; what is null
// is left out. An array stands several times. A 401 goes to the sign-in page.
export async function api(path, query = {}, options = {}) {
  await session;
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) for (const one of [value].flat()) if (one != null) q.append(name, one);
  const text = q.toString();
  try {
    return await ask(`/api/v1/${path}${text ? "?" + text : ""}`, options);
  } catch (e) {
    if (e.status === 401) return left();
    throw e;
  }
}
export const send = (method, path, body, options) => api(path, {}, { method, body, ...options });

// --- the server's clock ---------------------------------------------------------
// Ages and "now" are by the server's clock, which drills may set elsewhere and
// from which a device may be off. Differences under 2 s are left alone.
let difference = 0;
export const now = () => Date.now() + difference;
// setClock(match) asks it once, through any channel.
export async function setClock(match) {
  const before = Date.now();
  const view = await api("view", { match, from: "now-1s", to: "now", buckets: 1000, fields: "count" });
  const there = view.from + 1000, here = (before + Date.now()) / 2;
  difference = Math.abs(there - here) < 2000 ? 0 : there - here;
}

// --- live -------------------------------------------------------------------------
// live(match, { samples, alarm, missed, state }) follows /api/v1/live until
// close() of what it returns. state("live" | "waiting") says how it stands. A
// page that is hidden for a minute lets go, as browsers allow few streams.
export function live(match, on) {
  let source = null, retry = 0, hidden = 0, closed = false, wait = 1000;
  const drop = state => { clearTimeout(retry); source?.close(); source = null; on.state?.(state); };
  async function connect() {
    clearTimeout(retry);
    await session;
    if (closed || source || hidden < 0) return;
    source = new EventSource(`/api/v1/live?${new URLSearchParams({ match })}`);
    source.onopen = () => { wait = 1000; on.state?.("live"); };
    source.onerror = () => {
      drop("waiting");
      retry = setTimeout(connect, wait);
      wait = Math.min(wait * 2, 10e3);
    };
    for (const kind of ["samples", "alarm", "missed"]) source.addEventListener(kind, e => on[kind]?.(JSON.parse(e.data)));
  }
  function seen() {
    clearTimeout(hidden);
    if (document.hidden) hidden = setTimeout(() => { hidden = -1; drop("waiting"); }, 60e3);
    else { hidden = 0; if (!source) connect(); }
  }
  // A page that is left may be kept by the browser, with its stream: a few of them
  // and no connection is left for the next page.
  const left = () => { clearTimeout(hidden); hidden = -1; drop("waiting"); }, heard = [[document, "visibilitychange", seen], [window, "pagehide", left], [window, "pageshow", seen]];
  for (const [where, what, then] of heard) where.addEventListener(what, then);
  connect();
  return { close() { closed = true; for (const [where, what, then] of heard) where.removeEventListener(what, then); drop("waiting"); } };
}
