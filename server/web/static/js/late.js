// When a channel is late: its next sample was due and has not come. What counts
// is how old the newest sample becomes before the next arrives, so that channels
// written in batches or with a delay have their time.
const KEPT = 20;      // waits that are remembered
const KNOWN = 12;     // and from how many on they say enough
const LATE = 3;       // usual waits
const AHEAD = 60e3;   // what a clock may be ahead, ms
const UNKNOWN = 90e3; // nothing is late before that while too little is known, ms

const ENDED = 1000;   // intervals without a sample after which nobody waits for the next
const DAY = 24 * 3600e3, LEAST_END = DAY, MOST_END = 30 * DAY; // but not before, and surely then

// waited notes how old the newest sample of a channel was when the next came, ms.
export function waited(c, age) {
  const waits = c.waits ??= [];
  waits.push(age);
  if (waits.length > KEPT) waits.shift();
  const sorted = [...waits].sort((a, b) => a - b), n = sorted.length;
  // Twice the longest but one: who pauses now and then will again; one outage
  // says nothing.
  c.patience = n < KNOWN ? 0 : Math.max(LATE * sorted[n >> 1], 2 * sorted[n - 2], 5e3);
}
// isLate says whether a channel is late at a time; never where nothing tells how
// often it is written.
export function isLate(c, at) {
  const most = c.patience || (c.interval > 0 ? Math.max(LATE * Math.max(c.interval, c.seldom), 2 * Math.max(0, ...c.waits || []), UNKNOWN) : Infinity);
  return at - c.time > most;
}
// isEnded says whether a channel has been silent for so long that it is no longer
// written, as one that was imported: that is no news.
export function isEnded(c, at) {
  const silent = at - c.time;
  return silent > MOST_END ? isLate(c, at) || !(c.interval > 0) : c.interval > 0 && isLate(c, at) && silent > Math.max(LEAST_END, ENDED * c.interval);
}
// isAhead says whether a channel's newest sample has yet to come: a clock is wrong.
export const isAhead = (c, at) => c.time - at > AHEAD;
