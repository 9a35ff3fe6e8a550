// Adds to the pages, which work without it: the tree of keys, sizes that are filled in, and pages that change in place.

import { Measures } from "./measures.js";
import { Navigation } from "./navigation.js";
import { Tree } from "./tree.js";

const nav = document.getElementById("tree");
const main = document.getElementById("main");

export const measures = new Measures();
export const navigation = new Navigation(main, document.getElementById("said"));
export const tree = new Tree(nav, measures, (row) => navigation.go((row.is_branch ? "/keys/" : "/entry/") + row.address));

navigation.afterwards(() => {
  measures.fill(main);
  tree.select(...selected());
});

// Whoever learns that entries have changed sends this event; pages and tree then ask again.
document.addEventListener("coshelf:changed", () => {
  measures.forget();
  tree.refresh();
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.getElementById("search-text").select();
  }
});

// The address that the page is about, and whether that is an entry.
function selected() {
  const found = /^\/(entry|keys)\/([\w-]+)/.exec(location.pathname);
  return found ? [found[2], found[1] === "entry"] : [null, false];
}

measures.fill(main);
tree.start(...selected());
