// Keeps the page of activity up to date. Everything from the shelf becomes text, and nothing of it becomes markup.

import { changes } from "./changes.js";
import { navigation } from "./viewer.js";

const LOOK_EVERY = 2000; // milliseconds
const MOST_ROWS = 200;
const NOT_KNOWN = "Some changes are not known. Load the pages again.";

function element(name, text) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return made;
}

function rowOf(change, time) {
  const row = element("tr");
  row.className = `change-${change.kind}`;
  row.append(element("td", time), element("td", change.kind));
  const key = row.appendChild(element("td"));
  if (change.address) {
    const link = key.appendChild(element("a", change.label));
    link.href = `/entry/${encodeURIComponent(change.address)}`;
  } else {
    key.textContent = change.kind === "gap" ? NOT_KNOWN : change.label;
  }
  row.append(element("td", change.text));
  return row;
}

let leftOut = 0;

function listChanges({ detail }) {
  const section = document.querySelector(".live-changes");
  if (section === null) return; // another page is shown by now
  const body = section.querySelector("tbody");
  const time = new Date().toLocaleTimeString();
  for (const change of detail.changes) body.prepend(rowOf(change, time));
  while (body.rows.length > MOST_ROWS) body.deleteRow(-1);
  leftOut += detail.left_out;
  if (leftOut) section.querySelector(".live-notice").textContent = `${leftOut.toLocaleString("en")} changes came too quickly to be listed.`;
}

function fillTable(section, table) {
  const rows = table.rows.map((texts) => {
    const row = element("tr");
    row.append(...texts.map((text) => element("td", text)));
    return row;
  });
  section.querySelector("tbody").replaceChildren(...rows);
  section.querySelector(".scroll").hidden = !rows.length;
  const note = section.querySelector(".note");
  note.textContent = table.note;
  note.hidden = !table.note;
}

function fillLine(section, line) {
  section.querySelector("polyline").setAttribute("points", line.points);
  section.querySelector("svg").toggleAttribute("hidden", !line.points);
  section.querySelector(".note").toggleAttribute("hidden", !line.points);
  section.querySelector(".live-text").textContent = line.text;
}

function show(found) {
  for (const table of found.tables) fillTable(document.querySelector(`[data-table="${table.name}"]`), table);
  for (const line of found.lines) fillLine(document.querySelector(`[data-line="${line.name}"]`), line);
}

async function look() {
  const state = document.getElementById("live-state");
  if (state === null || document.hidden) return;
  try {
    const answer = await fetch("/data/now");
    if (!answer.ok) throw new Error(`the viewer answers ${answer.status}`);
    const found = await answer.json();
    if (!state.isConnected) return;
    show(found);
    state.textContent = "This page is kept up to date.";
    state.dataset.state = "open";
  } catch (error) {
    state.textContent = `This page is not up to date: ${error.message}. It tries again.`;
    state.dataset.state = "lost";
  }
}

async function lookAlways() {
  await look();
  setTimeout(lookAlways, LOOK_EVERY);
}

const told = changes();
if (told !== null) told.addEventListener("changes", listChanges);
navigation.afterwards(look);
lookAlways();
