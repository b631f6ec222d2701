// What streams in while a question is under way: its answer may be older, and must
// not undo what came after it was asked.
const open = new Set();

// asked() begins to collect; done(list) ends it. The list holds what note() was
// given since, oldest first: {key, time, value}.
export function asked() { const list = []; open.add(list); return list; }
export function done(list) { open.delete(list); }
export function note(key, time, value) { for (const list of open) list.push({ key, time, value }); }
