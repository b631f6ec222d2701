// The tree of the monitor: measurement group › application › instrument ›
// channel, as a treegrid. Levels that nothing says anything of are left out.
import * as channels from "./channels.js";
import { $, clone, el } from "./dom.js";
import { lang, t } from "./i18n.js";

const collator = new Intl.Collator(lang, { numeric: true });
const FOLD = 300; // with more channels, instruments start folded

// plant(list) makes the tree of channels: nodes {kind, name, children, leaves};
// of kind "channel" they have what list had.
export function plant(list) {
  const groups = list.some(channels.group), root = { children: [], leaves: [] }, byPath = new Map();
  const branch = (parent, kind, name, path) => {
    let n = byPath.get(path);
    if (!n) {
      n = { kind, name: name || t("monitor.no_group"), last: name ? 0 : 1, path, parent, children: [], leaves: [] };
      byPath.set(path, n);
      parent.children.push(n);
    }
    return n;
  };
  for (const c of list) {
    let at = root, path = "";
    const g = channels.group(c), a = channels.app(c), i = channels.instrument(c);
    if (groups) at = branch(at, "group", g, path = `g${g}`);
    if (a) at = branch(at, "app", a, path += `\u0000a${a}`);
    at = branch(at, "instrument", i, path += `\u0000i${i}`);
    Object.assign(c, { kind: "channel", name: channels.name(c), parent: at });
    at.children.push(c);
    for (let n = at; n; n = n.parent) n.leaves.push(c);
    root.leaves.push(c);
  }
  const sort = n => {
    if (n.kind !== "instrument") n.children.sort((x, y) => x.last - y.last || collator.compare(x.name, y.name));
    n.children.forEach(k => k.kind !== "channel" && sort(k));
  };
  sort(root);
  return root;
}
// trail(node) lists the names above a node.
export function trail(node) {
  const names = [];
  for (let n = node.parent; n; n = n.parent) if (n.name) names.unshift(n.name);
  return names;
}

// Tree draws the nodes into a table's body. on: {choose(node) for a click on a
// channel, open(node), tick(leaves, ticked)}.
export class Tree {
  constructor(table, on) {
    this.body = $("tbody", table);
    this.on = on;
    this.root = { children: [], leaves: [] };
    this.folded = null; // paths; null: not decided yet
    this.rows = [];
    this.body.addEventListener("keydown", e => this.key(e));
  }
  // show draws a tree anew; what is folded stays so.
  show(root) {
    const focused = document.activeElement?.closest?.("tr")?._node, id = n => n && (n.path ?? channels.key(n));
    this.root = root;
    this.folded ??= new Set(root.leaves.length > FOLD ? root.children.flatMap(below).filter(n => n.kind === "instrument").map(n => n.path) : []);
    this.rows = [];
    const add = (n, level, place, size) => {
      this.rows.push(this.row(n, level, place, size));
      n.children?.forEach((k, i) => add(k, level + 1, i + 1, n.children.length));
    };
    root.children.forEach((n, i) => add(n, 1, i + 1, root.children.length));
    this.body.replaceChildren(...this.rows);
    const again = focused && this.rows.find(r => id(r._node) === id(focused));
    if (again) this.focus(again);
    else if (this.rows[0]) this.rows[0].tabIndex = 0;
  }
  row(n, level, place, size) {
    const leaf = n.kind === "channel", tr = clone(leaf ? "t-leaf" : "t-branch"), pick = $(".pick", tr);
    tr._node = n;
    n.row = tr;
    n.cells = { value: $(".val", tr), unit: $(".unit", tr), state: $(".st", tr), age: $(".age", tr), canvas: $("canvas", tr), pick };
    tr.dataset.kind = n.kind;
    tr.style.setProperty("--lv", level);
    tr.setAttribute("aria-level", level);
    tr.setAttribute("aria-posinset", place);
    tr.setAttribute("aria-setsize", size);
    $(".node", tr).append(el("span", {}, n.name));
    if (leaf) {
      tr.dataset.instrument = channels.instrument(n);
      tr.dataset.channel = n.labels.channel;
      $(".node", tr).title = Object.entries(n.labels).map(([k, v]) => `${k}=${v}`).join(", ");
      const extra = channels.labelled(n);
      if (extra) $(".node", tr).append(el("small", {}, extra));
      n.cells.unit.textContent = n.properties.unit || "";
      tr.ondblclick = e => { if (e.target !== pick) this.on.open(n); };
    }
    pick.setAttribute("aria-label", t("monitor.tick", { name: n.name }));
    pick.onchange = () => this.on.tick(n.leaves || [n], pick.checked);
    tr.onclick = e => {
      if (e.target === pick) return;
      this.focus(tr);
      leaf ? this.on.choose(n, true) : this.fold(n);
    };
    return tr;
  }
  fold(n, shut = !this.folded.has(n.path)) {
    shut ? this.folded.add(n.path) : this.folded.delete(n.path);
    this.layout();
  }
  // layout shows the rows that match, and how many channels do.
  layout(matches = this.matches, searching = this.searching) {
    this.matches = matches; this.searching = searching;
    let seen = 0;
    const visit = (n, hidden) => {
      if (n.kind === "channel") {
        const ok = matches(n);
        seen += ok;
        n.row.hidden = hidden || !ok;
        return ok;
      }
      const open = searching || !this.folded.has(n.path);
      let any = false;
      for (const k of n.children) any = visit(k, hidden || !open) || any;
      n.row.hidden = hidden || !any;
      n.row.setAttribute("aria-expanded", String(open));
      return any;
    };
    this.root.children.forEach(n => visit(n, false));
    if (!this.rows.some(r => r.tabIndex === 0 && !r.hidden)) {
      const first = this.visible()[0];
      this.rows.forEach(r => { r.tabIndex = r === first ? 0 : -1; });
    }
    return seen;
  }
  visible() { return this.rows.filter(r => !r.hidden); }
  focus(tr) {
    for (const r of this.rows) if (r.tabIndex === 0) r.tabIndex = -1;
    tr.tabIndex = 0;
    tr.focus();
  }
  focusFirst() { const first = this.visible()[0]; if (first) this.focus(first); }
  key(e) {
    const tr = e.target.closest("tr");
    if (!tr || e.ctrlKey || e.metaKey || e.altKey) return;
    const rows = this.visible(), i = rows.indexOf(tr), n = tr._node, leaf = n.kind === "channel", folded = !leaf && tr.getAttribute("aria-expanded") === "false";
    const go = k => {
      const r = rows[Math.max(0, Math.min(rows.length - 1, k))];
      if (!r) return;
      this.focus(r);
      if (r._node.kind === "channel") this.on.choose(r._node, false);
    };
    const act = {
      ArrowDown: () => go(i + 1), ArrowUp: () => go(i - 1), PageDown: () => go(i + 12), PageUp: () => go(i - 12),
      Home: () => go(0), End: () => go(rows.length - 1),
      ArrowRight: () => { if (folded) this.fold(n, false); else if (!leaf) go(i + 1); },
      ArrowLeft: () => { if (!leaf && !folded) this.fold(n, true); else if (n.parent?.row) go(rows.indexOf(n.parent.row)); },
      " ": () => n.cells.pick.click(),
      Enter: () => leaf ? this.on.open(n) : this.fold(n),
    }[e.key];
    if (act) { e.preventDefault(); act(); }
  }
}
const below = n => n.kind === "channel" ? [] : [n, ...n.children.flatMap(below)];
