"""A page that counts its visits in a shelf, for WSGI and ASGI servers. The shelf is opened when this is imported.

With ``--preload`` that is in the parent, before the workers are forked, and before gevent has patched anything.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import coshelf

SHELF = coshelf.open(os.environ["COUNTING_PAGE_SHELF"])


def visit(name: str) -> bytes:
    SHELF["visits/" + name] = os.getpid()
    return b"%d" % SHELF.modify("count", lambda count: count + 1, default=0)


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    count = visit(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(count)))])
    return [count]


async def asgi(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    count = visit(scope["path"])
    length = str(len(count)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": count})
