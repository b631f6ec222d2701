// Channels as the API gives them, {labels, properties, …}: names, selectors and
// links.
import { now } from "./api.js";

export const MAX = 32; // channels in a view
// What is asked of a view: the mean is sum / count, whose digits would be half of
// the answer, and the first is not shown.
export const FIELDS = "count,quality,min,max,sum,last";

// key(channel) tells channels apart: all labels, in order.
export const key = channel => JSON.stringify(Object.entries(channel.labels).sort(([a], [b]) => a < b ? -1 : 1));
export const name = channel => channel.properties?.name || channel.labels.channel;
export const instrument = channel => channel.labels.instrument;
export const group = channel => channel.properties?.group || "";
export const app = channel => channel.properties?.app || "";
// labelled: what tells the channel apart where its name is not its label.
export const labelled = channel => channel.properties?.name && channel.properties.name !== channel.labels.channel ? channel.labels.channel : "";

// selector(labels) selects the channels with these labels: {a="b",…}.
export const selector = labels => `{${Object.entries(labels).map(([n, v]) => `${n}=${JSON.stringify(v)}`).join(",")}}`;
const escape = text => text.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");

// selectors(channels) gives one selector per instrument (and set of further
// labels), each of at most `most` channels: [{match, channels}].
export function selectors(channels, most = MAX) {
  const sets = new Map();
  for (const c of channels) {
    const { channel: _, ...rest } = c.labels, id = selector(rest);
    let parts = sets.get(id);
    if (!parts) sets.set(id, parts = [{ rest, channels: [] }]);
    if (parts.at(-1).channels.length >= most) parts.push({ rest, channels: [] });
    parts.at(-1).channels.push(c);
  }
  return [...sets.values()].flat().map(({ rest, channels }) => ({ channels, match: several(rest, channels) }));
}
function several(rest, channels) {
  if (channels.length === 1) return selector(channels[0].labels);
  const pattern = channels.map(c => escape(c.labels.channel)).join("|");
  return selector(rest).slice(0, -1) + `,channel=~${JSON.stringify(pattern)}}`;
}

// around(channels) is one selector that matches all of them, and maybe more.
export function around(channels) {
  const of = name => JSON.stringify([...new Set(channels.map(c => escape(c.labels[name])))].join("|"));
  return `{instrument=~${of("instrument")},channel=~${of("channel")}}`;
}

// viewerLink(channels, { hours } | { from, to } | { alarm, at }): the address of
// a view. match may stand in it several times, each a selector, in this order.
export function viewerLink(channels, range = {}) {
  const query = new URLSearchParams(selectors(channels).map(s => ["match", s.match]));
  for (const [n, v] of Object.entries(range)) query.set(n, String(v));
  return `/viewer?${query}`;
}
// lastDay(channels) is the view of their last day: the present one, or that which
// ends with their newest sample.
export function lastDay(channels) {
  const newest = Math.max(...channels.map(c => c.time ?? -Infinity)), to = Math.ceil(newest) + SHOWN;
  return viewerLink(channels, newest < now() - DAY ? { from: to - DAY, to } : { hours: 24 });
}
const DAY = 24 * 3600e3, SHOWN = 60e3; // so much lies behind the newest sample, ms
// matchesOf(location.search) reads them again.
export const matchesOf = search => new URLSearchParams(search).getAll("match");
