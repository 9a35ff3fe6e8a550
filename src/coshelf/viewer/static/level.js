// The rows of a branch. Blocks of them are fetched when they come into sight.

const NO_BLOCK = 999999999; // tells how many rows there are, without rows

export class Level {
  address;
  count = 0;
  complete = false;
  size = 100;
  open = new Map(); // levels of open branches, by the number of their row
  #blocks = new Map();
  #fetching = new Map();

  constructor(address) {
    this.address = address;
  }

  // A row; undefined if it is not known yet.
  row(number) {
    return this.#blocks.get(Math.floor(number / this.size))?.[number % this.size];
  }

  // The open branches in order: pairs of a number and a level.
  get opened() {
    return [...this.open].sort((one, other) => one[0] - other[0]);
  }

  // How many rows are shown, with those of open branches.
  get shown() {
    let sum = this.count;
    for (const level of this.open.values()) sum += level.shown;
    return sum;
  }

  // Fetches the block that has a row. `again`: also if it is known.
  fetchRow(number, again = false) {
    return this.#fetch(Math.floor(number / this.size), again);
  }

  // Asks how many rows there are by now.
  fetchCount() {
    return this.#fetch(NO_BLOCK, true);
  }

  // Fetches everything that is known once more, here and in open branches.
  async refresh() {
    const blocks = new Set([0, ...[...this.#blocks.keys()].slice(-6)]);
    for (const number of [...this.#blocks.keys()]) if (!blocks.has(number)) this.#blocks.delete(number);
    const before = new Map([...this.open].map(([number, level]) => [this.row(number)?.address, level]));
    await Promise.all([...blocks].map((number) => this.#fetch(number, true)));
    this.open.clear(); // the numbers of rows may have changed
    for (const [block, rows] of this.#blocks) {
      rows.forEach((row, at) => {
        if (row.is_branch && before.has(row.address)) this.open.set(block * this.size + at, before.get(row.address));
      });
    }
    await Promise.all([...this.open.values()].map((level) => level.refresh()));
  }

  async #fetch(block, again) {
    if (this.#blocks.has(block) && !again) return;
    if (this.#fetching.has(block)) return this.#fetching.get(block);
    const fetching = this.#load(block);
    this.#fetching.set(block, fetching);
    try {
      await fetching;
    } finally {
      this.#fetching.delete(block);
    }
  }

  async #load(block) {
    const response = await fetch("/data/rows?" + new URLSearchParams({ branch: this.address, block }));
    if (!response.ok) throw new Error(`${response.status}`);
    const found = await response.json();
    this.size = found.size;
    this.count = found.complete ? found.count : Math.max(found.count, this.count);
    this.complete = found.complete;
    if (block !== NO_BLOCK && found.rows.length) this.#blocks.set(block, found.rows);
    else this.#blocks.delete(block);
  }
}
