"""Changes as a stream of server-sent events: one stream and one watch for each page that is open."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
from anyio import to_thread

from coshelf.contract import Position
from coshelf.errors import CoshelfError
from coshelf.screen import plain
from coshelf.viewer.activity.changes import Burst, next_burst
from coshelf.viewer.activity.streams import Streams
from coshelf.viewer.activity.watching import watching
from coshelf.viewer.web.access import Receive, Scope, Send

__all__ = ["ChangeStream", "event_text"]

_HEARTBEAT = 10.0  # seconds after which a page without changes is told that the viewer is there
_PAUSE = 0.2  # seconds between two events, so that a busy writer does not keep the page busy
_LAST_WORD = 0.5  # seconds in which the end of a stream is sent
_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8")]


def event_text(kind: str, data: dict[str, Any], version: Position | None = None) -> str:
    """The text of one event. All of it is ASCII on one line for each field.

    >>> event_text("changes", {"label": "<b>"}, 17)
    'id: 17\\nevent: changes\\ndata: {"label": "<b>"}\\n\\n'
    """
    begin = "" if version is None else f"id: {version}\n"
    return f"{begin}event: {kind}\ndata: {json.dumps(data)}\n\n"


class ChangeStream:
    """The answer to one page. It ends with the page, and so does its watch.

    A page that reads slowly keeps its stream from taking more changes, and they stay with the engine, up to its limit.

    Args:
        shelf: the shelf.
        streams: the others.
        since: the version after which to go on.
        address: the address of the page of an encoded key; empty if it has none.
        selects: which keys are told; None: all.
        changed: called before changes are told.
    """

    def __init__(
        self,
        shelf: Any,
        streams: Streams,
        since: Position | None,
        address: Callable[[bytes], str],
        selects: Callable[[Any], bool] | None = None,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        self._shelf = shelf
        self._streams = streams
        self._since = since
        self._address = address
        self._selects = selects
        self._changed = changed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the page is gone, or the viewer ends."""
        ending = anyio.Event()
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        if not self._streams.begin(ending.set):
            await _end(send, "Too many pages are open. Close some of them, and load this one again.")
            return
        try:
            await self._follow(receive, send, ending)
        finally:
            self._streams.leave(ending.set)

    async def _follow(self, receive: Receive, send: Send, ending: anyio.Event) -> None:
        limiter = anyio.CapacityLimiter(2)  # one waits for changes, the other closes
        in_thread = partial(to_thread.run_sync, limiter=limiter)
        block = watching(self._shelf, self._since)
        try:
            watch = await in_thread(block.__enter__)
        except (CoshelfError, ValueError, TypeError) as error:
            await _end(send, plain(str(error).partition("\n")[0]))
            return
        try:
            async with anyio.create_task_group() as group:

                async def leave_after(end: Callable[[], Awaitable[object]]) -> None:
                    await end()
                    group.cancel_scope.cancel()
                    with anyio.CancelScope(shield=True):
                        await in_thread(watch.close)  # it wakes the thread for which the cancelled task waits

                group.start_soon(self._pump, watch, in_thread, send, group.cancel_scope)
                group.start_soon(leave_after, partial(_until_gone, receive))
                group.start_soon(leave_after, ending.wait)
            if ending.is_set():
                with anyio.move_on_after(_LAST_WORD):  # the page may read nothing
                    await send({"type": "http.response.body", "body": b""})
        finally:
            with anyio.CancelScope(shield=True):
                await in_thread(watch.close)
                await in_thread(block.__exit__, None, None, None)

    async def _pump(self, watch: Any, in_thread: Any, send: Send, scope: anyio.CancelScope) -> None:
        await _send(send, "retry: 2000\n\n")
        while True:
            try:
                burst = await in_thread(partial(next_burst, watch, _HEARTBEAT, selects=self._selects))
            except (CoshelfError, OSError) as error:
                await _end(send, plain(str(error).partition("\n")[0]))
                scope.cancel()
                return
            if burst is None:
                await _send(send, ": still here\n\n")
                continue
            self._changed()
            await _send(send, self._text(burst))
            await anyio.sleep(_PAUSE)

    def _text(self, burst: Burst) -> str:
        changes = [
            {
                "kind": change.kind,
                "label": change.label,
                "text": change.text,
                "address": self._address(change.key) if change.key else "",
            }
            for change in burst.changes
        ]
        return event_text(
            "changes", {"changes": changes, "left_out": burst.left_out, "gap": burst.has_gap}, burst.version
        )


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _end(send: Send, reason: str) -> None:
    """Tell the page why nothing more comes. Its script does not ask again then."""
    await _send(send, event_text("stopped", {"reason": reason}))
    await send({"type": "http.response.body", "body": b""})
