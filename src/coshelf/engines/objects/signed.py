"""Requests by URLs that the client library has signed, for what it has no calls for. They have no body.

Inside a bridge, a connection of the event loop is used, unless requests have to go through a proxy.
"""

from __future__ import annotations

import asyncio
import io
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, parse_headers
from urllib.parse import urlsplit

from coshelf.engines.objects.failures import Lost
from coshelf.system.threads.bridge import awaited, is_bridged

__all__ = ["Answer", "send"]

_LONGEST_HEAD = 64 << 10  # bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's answer: its status, and its time as it wrote it."""

    status: int
    date: str | None


def send(method: str, url: str, headers: dict[str, str], seconds: float) -> Answer:
    """Send a request, and return the answer. Raises :class:`Lost` if there is none."""
    if is_bridged():
        return awaited(_send_on_loop(method, url, headers, seconds))
    return _send(method, url, headers, seconds)


def _send(method: str, url: str, headers: dict[str, str], seconds: float) -> Answer:
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 (the client's own URL)
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:  # noqa: S310 (the same)
            return Answer(response.status, response.headers["Date"])
    except urllib.error.HTTPError as error:
        error.close()
        return Answer(error.code, error.headers["Date"])
    except urllib.error.URLError as error:
        is_unsent = isinstance(error.reason, ConnectionRefusedError)
        raise Lost(f"no connection ({type(error.reason).__name__})", is_unsent=is_unsent) from None
    except (OSError, HTTPException) as error:
        raise _broken(error) from None


def _broken(error: Exception) -> Lost:
    return Lost(f"the connection broke ({type(error).__name__})", is_unsent=False)


async def _send_on_loop(method: str, url: str, headers: dict[str, str], seconds: float) -> Answer:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return await asyncio.to_thread(_send, method, url, headers, seconds)
    is_sent = False
    try:
        async with asyncio.timeout(seconds):
            secured = ssl.create_default_context() if parts.scheme == "https" else None
            port = parts.port or (443 if secured else 80)
            reader, writer = await asyncio.open_connection(host, port, ssl=secured, limit=_LONGEST_HEAD)
            try:
                is_sent = True
                lines = {"Host": parts.netloc, "Connection": "close", "Content-Length": "0", **headers}
                path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
                head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
                writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("ascii"))
                return _answer(await reader.readuntil(b"\r\n\r\n"))
            finally:
                writer.transport.abort()  # nothing has to be waited for
    except (OSError, EOFError, asyncio.LimitOverrunError, HTTPException, ValueError) as error:
        if not is_sent:
            raise Lost(f"no connection ({type(error).__name__})", is_unsent=True) from None
        raise _broken(error) from None


def _answer(head: bytes) -> Answer:
    status, _, lines = head.partition(b"\r\n")
    return Answer(int(status.split(None, 2)[1]), parse_headers(io.BytesIO(lines))["Date"])
