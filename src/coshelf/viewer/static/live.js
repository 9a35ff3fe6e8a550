// What changes shows itself: lists of keys and entries are asked for again, and put in place of what is shown.

import { changes } from "./changes.js";
import { measures } from "./viewer.js";

const PAUSE = 1000; // milliseconds between two looks at what changes all the time
const GONE = {
  deleted: "This entry was deleted. What you see is what it was.",
  expired: "This entry has expired. What you see is what it was.",
};
const LISTS = /^\/(?:$|keys\/)/; // a search is not repeated: it may take long
const told = changes();
const main = document.getElementById("main");

function notice(text, link) {
  let shown = document.getElementById("live-notice");
  if (shown === null) {
    shown = document.createElement("p");
    shown.id = "live-notice";
    shown.className = "notice";
    shown.setAttribute("role", "status");
    main.prepend(shown);
  }
  shown.textContent = text;
  if (link) {
    const made = document.createElement("a");
    made.href = link;
    made.textContent = "Show it";
    shown.append(" ", made);
  }
}

function clock() {
  return new Date().toLocaleTimeString();
}

/** The page as it is now, or null if there is none any more. The server has made text of all that is in the shelf. */
async function fresh() {
  const answer = await fetch(location.href);
  return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
}

/** A function that calls another one, once for all calls meanwhile, and never twice at a time. */
function gathered(call) {
  let waiting = false;
  let running = false;
  return async function later() {
    waiting = true;
    if (running) return;
    running = true;
    while (waiting) {
      waiting = false;
      try {
        await call();
      } catch (error) {
        notice(`This page is not up to date: ${error.message}.`);
      }
      await new Promise((done) => setTimeout(done, PAUSE));
    }
    running = false;
  };
}

/** What a row says, without the figures that a script fills in. */
function said(row) {
  return [...row.cells].filter((cell) => !cell.hasAttribute("data-measure")).map((cell) => cell.textContent).join("\n");
}

function keepMeasures(old, made) {
  for (const cell of made.querySelectorAll("[data-measure]")) {
    const { measure, what } = cell.dataset;
    const before = old.querySelector(`[data-measure="${measure}"][data-what="${what}"]`);
    const isCounting = !cell.textContent || cell.textContent.startsWith("≥");
    if (before !== null && isCounting) cell.textContent = before.textContent;
  }
}

async function refreshRows() {
  if (!LISTS.test(location.pathname)) return;
  const address = location.href;
  const found = await fresh();
  const list = main.querySelector("[data-list] tbody");
  const made = found && found.querySelector("main [data-list] tbody");
  if (location.href !== address) return; // another page is shown by now
  if (!made || !list) {
    if (made || list) location.reload(); // the first entry has come, or the last one has gone
    return;
  }
  const before = new Map([...list.rows].map((row) => [row.querySelector("a").getAttribute("href"), said(row)]));
  const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  for (const row of made.rows) {
    if (before.get(row.querySelector("a").getAttribute("href")) !== said(row)) row.classList.add("fresh");
  }
  keepMeasures(list, made);
  list.replaceWith(document.adoptNode(made));
  if (focused !== null) {
    const again = [...made.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused);
    if (again) again.focus({ preventScroll: true });
  }
  measures.fill(main);
}

async function refreshEntry() {
  const address = location.href;
  const found = await fresh();
  const shown = main.querySelector("[data-entry]");
  if (location.href !== address || shown === null) return;
  const made = found && found.querySelector("article[data-entry]");
  if (!made) {
    notice(GONE.deleted);
  } else if (shown.contains(document.activeElement)) {
    notice(`This entry was changed at ${clock()}.`, location.href);
  } else {
    shown.replaceWith(document.adoptNode(made));
    notice(`This entry was changed at ${clock()}. You see its new value.`);
  }
}

function concerns(detail, address) {
  return detail.gap || detail.left_out > 0 || detail.changes.some((change) => change.address === address);
}

if (told !== null) {
  const refreshLists = gathered(async () => {
    await refreshRows();
    document.dispatchEvent(new CustomEvent("coshelf:changed")); // for the tree
  });
  const refreshShown = gathered(refreshEntry);
  told.addEventListener("changes", ({ detail }) => {
    refreshLists();
    const entry = main.querySelector("[data-entry]");
    if (entry === null || !concerns(detail, entry.dataset.entry)) return;
    const last = detail.changes.findLast((change) => change.address === entry.dataset.entry);
    if (last && last.kind !== "set") notice(GONE[last.kind] || GONE.deleted);
    else if (entry.matches("article")) refreshShown();
    else notice(`Another process may have changed this entry at ${clock()}. If so, storing yours shows you both.`);
  });
  told.addEventListener("stopped", ({ detail }) => {
    notice(`Changes do not show themselves any more: ${detail}`);
  });
}
