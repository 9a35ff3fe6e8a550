"""A web page that shows the entries of a shelf and changes with them, whatever process writes.

    python live_page.py SHELF [--host 127.0.0.1] [--port 8000]

It needs fastapi and uvicorn. Changes come as server-sent events. The id of an event is the version after which to go
on. So a browser that was away asks for what came since, and is told each change once.
"""

from __future__ import annotations

import argparse
import json
import socket
from collections.abc import Iterator
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import HTMLResponse, StreamingResponse

import coshelf

PAUSE = 1.0  # seconds; how long a thread waits for a change before it looks whether the client is still there

PAGE = """<!doctype html>
<title>live</title>
<h1>Entries</h1>
<dl id="entries"></dl>
<script>
const entries = new Map();
function show() {
  const list = document.getElementById("entries");
  list.replaceChildren();
  for (const key of [...entries.keys()].sort()) {
    const term = list.appendChild(document.createElement("dt"));
    term.textContent = key;
    list.appendChild(document.createElement("dd")).textContent = JSON.stringify(entries.get(key));
  }
}
async function load() {
  const found = await (await fetch("entries")).json();
  entries.clear();
  for (const [key, value] of Object.entries(found.entries)) entries.set(key, value);
  show();
  return found.version;
}
load().then((version) => {
  const changes = new EventSource("changes?since=" + encodeURIComponent(version));
  changes.addEventListener("set", (event) => {
    const change = JSON.parse(event.data);
    entries.set(change.key, change.value);
    show();
  });
  for (const kind of ["deleted", "expired"]) {
    changes.addEventListener(kind, (event) => { entries.delete(JSON.parse(event.data).key); show(); });
  }
  changes.addEventListener("gap", load);
});
</script>
"""


def application(shelf: coshelf.Shelf[str, Any]) -> FastAPI:
    """The page, the entries as JSON, and their changes."""
    app = FastAPI()

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        return PAGE

    @app.get("/entries")
    def entries() -> dict[str, Any]:
        version = shelf.version  # before the entries: a change between the two is told again, and nothing is missed
        return {"version": str(version), "entries": dict(shelf.items("**"))}

    @app.put("/entries")
    def store(entries: dict[str, Any]) -> None:
        shelf.update(entries)

    @app.delete("/entries/{key:path}")
    def delete(key: str) -> None:
        shelf.pop(key, None)

    @app.get("/changes")
    def changes(since: str | None = None, last_event_id: Annotated[str | None, Header()] = None) -> StreamingResponse:
        try:
            watch = shelf.watch("**", since=last_event_id or since)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        return StreamingResponse(events(watch), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return app


def events(watch: coshelf.Watch[str, Any]) -> Iterator[str]:
    """The text of each change. It runs in a thread of the server; the next step after the client has gone ends it."""
    with watch:
        yield ": watching\n\n"
        while True:
            change = watch.next(PAUSE)
            if change is None:
                yield ": still here\n\n"
                continue
            said: dict[str, Any] = {} if change.kind == "gap" else {"key": change.key}
            if change.kind == "set":
                try:
                    said["value"] = change.value
                except KeyError:  # it is gone already, and the engine keeps the latest state alone
                    continue
            yield f"id: {change.version}\nevent: {change.kind}\ndata: {json.dumps(said)}\n\n"


def main() -> None:
    """Serve a shelf."""
    parser = argparse.ArgumentParser(description="Show the entries of a shelf on a page that changes with them.")
    parser.add_argument("shelf", metavar="SHELF", help="a path or URL; its keys are str, its values JSON")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    with coshelf.open(options.shelf, codec="json") as shelf:
        listener = socket.create_server((options.host, options.port))
        print(f"http://{options.host}:{listener.getsockname()[1]}/", flush=True)
        config = uvicorn.Config(application(shelf), log_level="warning", timeout_graceful_shutdown=2)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
