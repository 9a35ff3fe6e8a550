"""Who may see the pages: the browser that was given the token, and no page of another origin.

The guard stands before everything else. It compares the Host header with the address that the server is bound to, so
that no other name leads here. It wants the cookie that the start address gives, and an Origin of this server for every
request that changes something. It adds the headers that keep a browser from running, sending or keeping anything else.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode

__all__ = ["LARGEST_UPLOAD", "Access", "Guard"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LARGEST_UPLOAD = 256 << 20  # bytes of a request
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not "no-referrer": with it a browser sends the Origin "null" with forms, which could not be told from others.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_READING = ("GET", "HEAD")


@dataclass(frozen=True)
class Access:
    """The address of a viewer, and its secrets.

    Attributes:
        authority: host and port, as a Host header has them.
        token: what the start address has.
        opening: what the address has that a program opens in a browser. It is good once: on most systems all users see
            the arguments of a browser that was started with it.
        session: the value of the cookie that is given for it.
        form_token: what each form of the pages has.
        cookie: the name of the cookie. It has the port, because a browser sends cookies to every port of a host.
    """

    authority: str
    token: str
    opening: str
    session: str
    form_token: str
    cookie: str

    @classmethod
    def of(cls, host: str, port: int) -> Access:
        """New secrets for the address that a socket is bound to."""
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        token, opening, session, form_token = (secrets.token_urlsafe(24) for _ in range(4))
        return cls(authority, token, opening, session, form_token, f"coshelf-viewer-{port}")

    @property
    def origin(self) -> str:
        """The origin of the pages."""
        return f"http://{self.authority}"

    @property
    def start(self) -> str:
        """The address to begin with."""
        return f"{self.origin}/?token={self.token}"

    @property
    def start_once(self) -> str:
        """The address to begin with that is good once."""
        return f"{self.origin}/?token={self.opening}"

    def admits(self, cookies: str) -> bool:
        """Whether a Cookie header has the session.

        The header also has the cookies of all other programs on this host. http.cookies gives up at the first one
        whose value is JSON, and would find none.
        """
        pairs = (each.strip().partition("=") for each in cookies.split(";"))
        return any(name == self.cookie and _same(value, self.session) for name, _, value in pairs)

    def is_form_token(self, text: str) -> bool:
        """Whether a form was made by a page of this server."""
        return _same(text, self.form_token)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


class Guard:
    """An ASGI application before another one."""

    def __init__(self, app: App, access: Access) -> None:
        self._app = app
        self._access = access
        self._is_opened = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await self._answer(scope, receive, _with_headers(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name.lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        given = [value for name, value in headers if name == b"host"]
        if given != [self._access.authority]:
            await _say(send, 421, "This address does not belong to the viewer.")
            return
        is_reading = scope["method"] in _READING
        if not is_reading and [value for name, value in headers if name == b"origin"] != [self._access.origin]:
            await _say(send, 403, "A page of another origin sent this request. Nothing was done.")
            return
        if scope["path"].startswith("/static/") and is_reading:
            await self._app(scope, receive, send)
            return
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0] if is_reading else ""
        if self._is_token(token):
            await self._welcome(scope, headers, send)
            return
        if not self._access.admits("; ".join(value for name, value in headers if name == b"cookie")):
            await _say(send, 403, "Open the address that coshelf printed: it has the token that lets you in.")
            return
        await self._app(scope, _limited(headers, receive), send)

    def _is_token(self, text: str) -> bool:
        if _same(text, self._access.opening):
            is_first, self._is_opened = not self._is_opened, True
            return is_first
        return _same(text, self._access.token)

    async def _welcome(self, scope: Scope, headers: Iterable[tuple[bytes, str]], send: Send) -> None:
        """Give the cookie for the token, and lead to the page without the token."""
        rest = [pair for pair in parse_qsl(scope["query_string"].decode("latin-1")) if pair[0] != "token"]
        path = quote(scope["path"])
        there = (
            (path if path.startswith("/") and not path.startswith("//") else "/")
            + ("?" if rest else "")
            + urlencode(rest)
        )
        cookie = f"{self._access.cookie}={self._access.session}; HttpOnly; SameSite=Strict; Path=/"
        more = [(b"set-cookie", cookie.encode())]
        # After a link on a page of another site, such as a notebook, a redirect would come without the cookie.
        if (b"sec-fetch-site", "cross-site") in headers:
            shown = escape(there)
            onward = f'<meta http-equiv="refresh" content="0; url={shown}">'
            await _say(send, 200, "Go on", more, onward, f'<a href="{shown}">Go on</a>')
        else:
            await _say(send, 303, "Go on", [*more, (b"location", there.encode())])


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in _HEADERS}
            kept = [pair for pair in message.get("headers", ()) if pair[0].lower() not in own]
            message = {**message, "headers": [*kept, *_HEADERS]}
        await send(message)

    return sending


def _limited(headers: Iterable[tuple[bytes, str]], receive: Receive) -> Receive:
    """Refuse bodies that are larger than an upload may be, whatever their Content-Length says."""
    left = LARGEST_UPLOAD
    said = [value for name, value in headers if name == b"content-length"]

    async def receiving() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0 or any(not value.isdecimal() or int(value) > LARGEST_UPLOAD for value in said):
            return {"type": "http.disconnect"}
        return message

    return receiving


async def _say(
    send: Send,
    status: int,
    words: str,
    headers: Iterable[tuple[bytes, bytes]] = (),
    head: str = "",
    body: str = "",
) -> None:
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>coshelf</title>{head}'
        f'<link rel="stylesheet" href="/static/viewer.css"><link rel="icon" href="/static/coshelf.svg"></head>'
        f'<body class="message"><main><h1>coshelf</h1>'
        f"<p>{body or words}</p></main></body></html>"
    ).encode()
    all_headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(page)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": page})
