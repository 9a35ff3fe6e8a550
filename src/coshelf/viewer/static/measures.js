// How many entries branches have, and how large they are. The server counts in the background; this asks until it knows.

const AGAIN = 500; // milliseconds
const MOST = 50;

export class Measures extends EventTarget {
  #known = new Map();
  #wanted = new Set();
  #timer = null;
  #page = null;

  // What is known of a branch; undefined at first. Asks for it, and sends a "change" event when more is known.
  of(address) {
    const known = this.#known.get(address);
    if (!known?.complete) this.#want(address);
    return known;
  }

  // Fills in the elements that name a branch in `data-measure`.
  fill(page) {
    this.#page = page;
    for (const element of page.querySelectorAll("[data-measure]")) {
      const known = this.of(element.dataset.measure);
      if (known) element.textContent = this.words(known, element.dataset.what);
    }
  }

  // A measure in words. What is not counted to its end is "at least".
  words(known, what) {
    const least = known.complete ? "" : "≥ ";
    if (what === "size") return known.words && least + known.words;
    const count = known.entries.toLocaleString("en");
    return `${least}${count} ${known.entries === 1 && known.complete ? "entry" : "entries"}`;
  }

  // Asks for everything again.
  forget() {
    this.#known.clear();
    if (this.#page) this.fill(this.#page);
  }

  #want(address) {
    this.#wanted.add(address);
    this.#timer ??= setTimeout(() => this.#ask(), 30);
  }

  async #ask() {
    const some = [...this.#wanted].slice(-MOST); // the latest are what is looked at
    this.#wanted.clear();
    try {
      const response = await fetch("/data/measures?" + new URLSearchParams(some.map((address) => ["branch", address])));
      if (!response.ok) return;
      for (const [address, known] of Object.entries(await response.json())) this.#known.set(address, known);
    } catch {
      return; // the viewer was ended: the numbers stay as they are
    } finally {
      this.#timer = null;
    }
    this.dispatchEvent(new Event("change"));
    if (some.some((address) => !this.#known.get(address)?.complete)) {
      this.#timer ??= setTimeout(() => {
        this.#timer = null;
        if (this.#page) this.fill(this.#page);
        this.dispatchEvent(new Event("change"));
      }, AGAIN);
    }
    if (this.#page) this.fill(this.#page);
  }
}
