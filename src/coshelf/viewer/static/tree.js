// The tree of keys. Only the rows in sight are elements, whatever the number of keys.

import { Level } from "./level.js";

const ROW = 26; // pixels, as in viewer.css
const HIGHEST = 8_000_000; // pixels: browsers have no higher elements
const SPARE = 8; // rows above and below those in sight
const SETTLED = 60; // milliseconds without scrolling until rows are fetched
const COUNTING = 400; // milliseconds between questions how many rows there are
const TRIES = 20; // questions where a row is

export class Tree {
  #nav;
  #measures;
  #opened;
  #box = document.createElement("div");
  #root = new Level("");
  #total = 0; // rows, and the one at the top, when the tree was last drawn
  #top = 0;
  #elements = new Map(); // of the rows in sight, by their numbers
  #active = 0; // the shown row that has the focus of the tree
  #selected = null;
  #settling = null;
  #counting = null;

  // `opened` is called with a row that was chosen.
  constructor(nav, measures, opened) {
    this.#nav = nav;
    this.#measures = measures;
    this.#opened = opened;
    this.#box.className = "tree";
    this.#box.setAttribute("role", "tree");
    this.#box.setAttribute("aria-label", "Keys");
    nav.addEventListener("scroll", () => this.#draw(), { passive: true });
    new ResizeObserver(() => this.#draw()).observe(nav);
    measures.addEventListener("change", () => this.#draw());
    this.#box.addEventListener("keydown", (event) => this.#pressed(event));
    this.#box.addEventListener("click", (event) => this.#clicked(event));
  }

  // Shows the tree, with the entry or branch of an address selected.
  async start(selected, isEntry) {
    this.#nav.hidden = false;
    this.#nav.replaceChildren(this.#box);
    try {
      await this.#root.fetchRow(0);
    } catch {
      this.#nav.hidden = true; // the page says what is wrong
      return;
    }
    this.#count();
    await this.select(selected, isEntry);
  }

  // Marks the row of an address, and opens the branches around it if it is not in sight.
  async select(address, isEntry) {
    this.#selected = address;
    this.#draw();
    if (address === null || this.#box.querySelector('[aria-selected="true"]')) return;
    try {
      let rows = null;
      for (let tries = 0; !rows && tries < TRIES; tries += 1) {
        if (tries) await new Promise((resolve) => setTimeout(resolve, COUNTING));
        const response = await fetch("/data/place?" + new URLSearchParams({ key: address, entry: isEntry ? "1" : "" }));
        if (!response.ok || address !== this.#selected) return;
        rows = (await response.json()).rows; // null while the server has not come to the row
      }
      if (!rows || address !== this.#selected) return;
      let level = this.#root;
      let shown = -1;
      for (const [depth, number] of rows.entries()) {
        await level.fetchRow(number);
        shown += 1 + number;
        for (const [before, inner] of level.opened) if (before < number) shown += inner.shown;
        if (depth === rows.length - 1) break;
        if (!level.open.has(number)) {
          const inner = new Level(level.row(number).address);
          await inner.fetchRow(0);
          level.open.set(number, inner);
        }
        level = level.open.get(number);
      }
      this.#draw(); // so that the tree is as high as it has to be
      this.#move(shown, false);
      this.#count();
    } catch {
      // The shelf has changed meanwhile, or the viewer has ended: the page itself is there.
    }
  }

  // Fetches again what is in sight.
  async refresh() {
    await this.#root.refresh().catch(() => {});
    this.#draw();
    this.#count();
  }

  // --- where rows are ---

  // Level, number and depth of a shown row.
  #locate(shown, level = this.#root, depth = 1) {
    let passed = 0;
    for (const [number, inner] of level.opened) {
      const behind = number + 1 + passed;
      if (shown < behind) break;
      if (shown < behind + inner.shown) return this.#locate(shown - behind, inner, depth + 1);
      passed += inner.shown;
    }
    return { level, number: shown - passed, depth };
  }

  // The shown row of the branch around a row; null on the first level.
  #outer(shown) {
    const { depth } = this.#locate(shown);
    if (depth === 1) return null;
    for (let at = shown - this.#locate(shown).number - 1; at >= 0; at -= 1) {
      const place = this.#locate(at);
      if (place.depth < depth) return at;
      at -= place.number && place.depth >= depth ? Math.min(place.number, at) : 0;
    }
    return null;
  }

  get #height() {
    return Math.min(this.#root.shown * ROW, HIGHEST);
  }

  // The first shown row at the top of the window, with a fraction.
  get #first() {
    const room = this.#nav.clientHeight;
    const hidden = this.#root.shown * ROW - room;
    if (hidden <= 0) return 0;
    if (this.#root.shown * ROW <= HIGHEST) return this.#nav.scrollTop / ROW;
    return ((this.#nav.scrollTop / (HIGHEST - room)) * hidden) / ROW;
  }

  #scrollTo(first) {
    const room = this.#nav.clientHeight;
    const all = this.#root.shown * ROW;
    this.#nav.scrollTop = all <= HIGHEST ? first * ROW : ((first * ROW) / (all - room)) * (HIGHEST - room);
  }

  // --- drawing ---

  #draw() {
    if (this.#nav.hidden) return;
    const had = this.#box.contains(document.activeElement);
    const total = this.#root.shown;
    this.#active = Math.max(0, Math.min(this.#active, total - 1));
    this.#box.style.height = `${this.#height}px`;
    // In a tree that is higher than an element can be, a position means another row as soon as there are more rows.
    if (total !== this.#total && Math.max(total, this.#total) * ROW > HIGHEST) this.#scrollTo(this.#top);
    const first = this.#first;
    this.#total = total;
    this.#top = first;
    const begin = Math.max(0, Math.floor(first) - SPARE);
    const end = Math.min(total, Math.ceil(first + this.#nav.clientHeight / ROW) + SPARE);
    let missing = false;
    const kept = new Set();
    for (let shown = begin; shown < end; shown += 1) {
      const place = this.#locate(shown);
      const row = place.level.row(place.number);
      missing ||= !row;
      const element = this.#element(shown);
      this.#fill(element, shown, place, row);
      element.style.top = `${Math.round(this.#nav.scrollTop + (shown - first) * ROW)}px`;
      if (this.#box.children[kept.size] !== element) this.#box.insertBefore(element, this.#box.children[kept.size] ?? null);
      kept.add(element);
    }
    for (const [shown, element] of this.#elements) {
      if (kept.has(element)) continue;
      this.#elements.delete(shown);
      element.remove();
    }
    const focusable = this.#box.querySelector('[tabindex="0"]') ?? this.#box.children[Math.min(SPARE, this.#box.children.length - 1)];
    if (focusable) focusable.tabIndex = 0;
    if (had && !this.#box.contains(document.activeElement)) focusable?.focus({ preventScroll: true });
    if (missing) this.#settle(begin, end);
  }

  // The element of a shown row. It stays the same as long as the row is in sight, so that a click begins and ends on it.
  #element(shown) {
    let element = this.#elements.get(shown);
    if (!element) {
      element = document.createElement("div");
      element.dataset.shown = shown;
      element.setAttribute("role", "treeitem");
      element.append(span("arrow", ""), span("label", ""), span("more", ""));
      this.#elements.set(shown, element);
    }
    return element;
  }

  #fill(element, shown, place, row) {
    const { level, number, depth } = place;
    const isOpen = level.open.has(number);
    const known = row?.is_branch ? this.#measures.of(row.address) : null;
    const [arrow, label, more] = element.children;
    const isDamaged = Boolean(row?.problem);
    change(arrow, row?.is_branch ? (isOpen ? "▾" : "▸") : isDamaged ? "!" : "");
    change(label, row ? row.name : "…");
    change(more, !row ? "" : row.is_branch ? (known ? this.#words(known) : "") : isDamaged ? "damaged" : row.words);
    const kinds = [!row && "loading", row?.is_branch && "branch", isDamaged && "damaged"].filter(Boolean);
    element.className = ["tree-row", ...kinds].join(" ");
    element.tabIndex = shown === this.#active ? 0 : -1;
    element.style.paddingLeft = `${depth * 14 - 6}px`;
    element.setAttribute("aria-level", depth);
    element.setAttribute("aria-posinset", number + 1);
    element.setAttribute("aria-setsize", level.complete ? level.count : -1);
    element.setAttribute("aria-selected", String(row !== undefined && row.address === this.#selected));
    if (row?.is_branch) element.setAttribute("aria-expanded", String(isOpen));
    else element.removeAttribute("aria-expanded");
    if (row) element.dataset.address = row.address;
    else delete element.dataset.address;
  }

  #words(known) {
    const size = this.#measures.words(known, "size");
    const count = known.entries.toLocaleString("en");
    return `${known.complete ? "" : "≥ "}${count}${size ? ` · ${known.words}` : ""}`;
  }

  // Fetches the rows in sight once scrolling has stopped.
  #settle(begin, end) {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(async () => {
      const wanted = new Map();
      for (let shown = begin; shown < end; shown += 1) {
        const { level, number } = this.#locate(shown);
        if (!level.row(number)) wanted.set(`${level.address} ${Math.floor(number / level.size)}`, [level, number]);
      }
      if (!wanted.size) return;
      await Promise.allSettled([...wanted.values()].map(([level, number]) => level.fetchRow(number)));
      this.#draw();
    }, SETTLED);
  }

  // Asks how many rows there are, until the server knows.
  #count() {
    clearTimeout(this.#counting);
    const open = [];
    const gather = (level) => {
      if (!level.complete) open.push(level);
      for (const inner of level.open.values()) gather(inner);
    };
    gather(this.#root);
    if (!open.length) return;
    this.#counting = setTimeout(async () => {
      const asked = await Promise.allSettled(open.map((level) => level.fetchCount()));
      this.#draw();
      if (asked.some((each) => each.status === "fulfilled")) this.#count();
    }, COUNTING);
  }

  // --- what a person does ---

  #clicked(event) {
    const element = event.target.closest(".tree-row");
    if (!element) return;
    const shown = Number(element.dataset.shown);
    this.#move(shown, false);
    this.#choose(shown, event.target.classList.contains("arrow"));
  }

  #choose(shown, onlyFold = false) {
    const { level, number } = this.#locate(shown);
    const row = level.row(number);
    if (!row) return;
    if (row.is_branch) this.#toggle(shown);
    if (!row.is_branch || !onlyFold) this.#opened(row);
  }

  async #toggle(shown) {
    const { level, number } = this.#locate(shown);
    const row = level.row(number);
    if (!row?.is_branch) return;
    if (level.open.delete(number)) {
      this.#draw();
      return;
    }
    const inner = new Level(row.address);
    try {
      await inner.fetchRow(0);
    } catch {
      return; // the page of the branch says what is wrong
    }
    level.open.set(number, inner);
    this.#draw();
    this.#count();
  }

  #move(shown, isFocused = true) {
    this.#active = Math.max(0, Math.min(shown, this.#root.shown - 1));
    const first = this.#first;
    const fits = Math.floor(this.#nav.clientHeight / ROW) - 1;
    if (this.#active < first) this.#scrollTo(this.#active);
    else if (this.#active > first + fits - 1) this.#scrollTo(this.#active - fits + 1);
    this.#draw();
    if (isFocused) this.#box.querySelector('[tabindex="0"]')?.focus({ preventScroll: true });
  }

  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.#nav.clientHeight / ROW) - 2);
    const { level, number } = this.#locate(this.#active);
    const row = level.row(number);
    const isOpen = level.open.has(number);
    const moves = {
      ArrowDown: () => this.#move(this.#active + 1),
      ArrowUp: () => this.#move(this.#active - 1),
      PageDown: () => this.#move(this.#active + page),
      PageUp: () => this.#move(this.#active - page),
      Home: () => this.#move(0),
      End: () => this.#move(this.#root.shown - 1),
      Enter: () => this.#choose(this.#active),
      " ": () => this.#choose(this.#active),
      ArrowRight: () => {
        if (!row?.is_branch) return;
        if (isOpen) this.#move(this.#active + 1);
        else this.#toggle(this.#active);
      },
      ArrowLeft: () => {
        const outer = this.#outer(this.#active);
        if (row?.is_branch && isOpen) this.#toggle(this.#active);
        else if (outer !== null) this.#move(outer);
      },
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  }
}

function change(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function span(name, text) {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = text;
  return made;
}
