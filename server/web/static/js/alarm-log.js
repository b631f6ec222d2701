// The event log: starts and ends of alarms, newest first. It begins with a day
// and goes back in greater steps.
import { api, now, Problem } from "./api.js";
import * as channels from "./channels.js";
import { $, el } from "./dom.js";
import * as f from "./format.js";
import { t } from "./i18n.js";

const STEPS = [f.DAY, 7 * f.DAY, 30 * f.DAY, 365 * f.DAY, Infinity], ENOUGH = 20, PAGES = 20;

export class Log {
  constructor({ channelOf }) {
    this.channelOf = channelOf;
    this.step = 0;
    this.events = null;
    this.on = false;
    $("#older").onclick = () => { this.step++; this.refresh(); };
  }
  shown(on) {
    this.on = on;
    if (on) this.refresh();
  }
  // refresh asks for the events of the span that is shown, in a longer one where
  // there are few.
  refresh() {
    if (!this.on || this.asking) { this.again = this.on; return; }
    this.asking = this.ask().finally(() => {
      this.asking = null;
      if (this.again) { this.again = false; this.refresh(); }
    });
  }
  async ask() {
    try {
      for (;;) {
        this.events = await span(STEPS[this.step]);
        if (this.events.length >= ENOUGH || this.step === STEPS.length - 1) break;
        this.step++;
      }
      this.render();
    } catch (e) {
      if (!(e instanceof Problem)) throw e;
      $("#problem").textContent = e.text;
      $("#problem").hidden = false;
    }
  }
  render() {
    $("#no-events").hidden = this.events.length > 0;
    $("#older").hidden = this.step === STEPS.length - 1;
    $("#events").replaceChildren(...[...this.events].reverse().map(e => {
      const c = this.channelOf(e), start = e.kind === "start";
      const cell = (className, ...content) => el("td", { className, role: "cell" }, ...content);
      return el("tr", { role: "row" },
        cell("time", f.full(e.time)),
        cell("what", el("span", { className: `mark mark-${start ? "active" : "normal"}` }), el("b", {}, e.name || t("alarms.unnamed")), " ", t(start ? "alarms.started" : "alarms.ended")),
        cell("which", c ? [channels.name(c), el("small", {}, " " + channels.instrument(c))] : "–"),
        cell("num", f.withUnit(c, e.value)),
        cell("go", c ? el("a", { href: channels.viewerLink([c], { at: e.time }), "aria-label": `${t("open_viewer")}: ${e.name}, ${f.full(e.time)}` }, t("alarms.look")) : ""));
    }));
  }
}
// span gives all events of the last ms milliseconds, oldest first.
async function span(ms) {
  const from = ms === Infinity ? null : Math.floor(now() - ms) + "000000", list = [];
  let after = null;
  for (let page = 0; page < PAGES; page++) {
    const { events, next } = await api("events", { from, after });
    list.push(...events);
    after = next;
    if (!next) break;
  }
  return list;
}
