"""The page that shows what happens in a shelf now, and what keeps it and other pages up to date."""

from __future__ import annotations

import threading
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from coshelf.keys import encode
from coshelf.viewer.activity.now import Now, Part, look
from coshelf.viewer.activity.rates import Samples
from coshelf.viewer.activity.streaming import ChangeStream
from coshelf.viewer.activity.tables import HEIGHT, LEAST, WIDTH, Line, Table, line_of, tables_of
from coshelf.viewer.activity.watching import following
from coshelf.viewer.keys.addresses import address_of
from coshelf.viewer.viewing import Viewing
from coshelf.viewer.web.rendering import Rendering

__all__ = ["Live"]

_PAUSE = 1.0  # seconds between two looks, whatever the number of pages
_SHARE = 0.1  # of the time that looks may take
_LONGEST_ADDRESS = 16_000  # characters


class Live:
    """The live part of one viewer, and what they share: the last look, and the numbers of earlier ones."""

    def __init__(self, viewing: Viewing, rendering: Rendering) -> None:
        self._viewing = viewing
        self._rendering = rendering
        self._lock = threading.Lock()
        self._looked: tuple[float, Now] | None = None
        self._commits, self._hits = Samples(), Samples()

    def routes(self) -> list[BaseRoute]:
        """Where it is."""
        return [
            Route("/activity", self.activity),
            Route("/data/now", self.now),
            Route("/data/changes", self.changes),
        ]

    # --- what happens now --------------------------------------------------------------------------------------------

    def activity(self, request: Request) -> Response:
        """The page of what happens now. A script keeps it up to date."""
        live = following(self._viewing.shelf)
        lines, tables = self._found()
        return self._rendering.page(
            "activity.html",
            lines=lines,
            tables=tables,
            live=live,
            width=WIDTH,
            height=HEIGHT,
        )

    def now(self, request: Request) -> Response:
        """The same for the script."""
        lines, tables = self._found()
        return JSONResponse(
            {"lines": [line.as_dict() for line in lines], "tables": [table.as_dict() for table in tables]}
        )

    async def changes(self, request: Request) -> Any:
        """The changes as a stream of events, of the whole shelf or of one key."""
        last = request.headers.get("last-event-id")
        since = last or request.query_params.get("since") or None
        only = request.query_params.get("key")
        selects = None if only is None else lambda key: address_of(encode(key)) == only
        return ChangeStream(
            self._viewing.shelf, self._viewing.streams, since, _linkable, selects, self._viewing.outdate
        )

    def _found(self) -> tuple[list[Line], list[Table]]:
        with self._lock:  # pages that ask at once share one look
            now = self._look()
            commits = self._commits.curve(width=WIDTH, height=HEIGHT, least=LEAST)
            hits = self._hits.curve(width=WIDTH, height=HEIGHT, least=LEAST)
        figures = now.file.value
        found_hits = Part(None if figures is None else figures.hits, "Only shelves with limits count their hits")
        return [
            line_of("commits", "Commits a second", "From the numbers of commits.", now.commits, commits),
            line_of(
                "hits",
                "Hits a second",
                "From the reads that found an entry, as the shelf counts them.",
                found_hits,
                hits,
            ),
        ], tables_of(now)

    def _look(self) -> Now:
        at = time.monotonic()
        if self._looked is not None:
            last, now = self._looked
            if at - last < max(_PAUSE, now.took / _SHARE):
                return now
        now = look(self._viewing.shelf.engine_for("viewer"))
        self._looked = at, now
        if now.commits.value is not None:
            self._commits.add(at, now.commits.value)
        if now.file.value is not None and now.file.value.hits is not None:
            self._hits.add(at, now.file.value.hits)
        return now


def _linkable(key: bytes) -> str:
    """The address of a key; empty if it is longer than browsers and servers take."""
    address = address_of(key)
    return address if len(address) <= _LONGEST_ADDRESS else ""
