"""A browser without a screen: it keeps a cookie, sends an Origin, and reads the elements of a page."""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from coshelf import viewer
from coshelf.keys import encode
from coshelf.viewer.keys.addresses import address_of

_TIMEOUT = 60


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes
    path: str

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def page(self) -> Page:
        return Page(self.text)


@dataclass
class Page(HTMLParser):
    """The elements of a page, with their attributes, and its text."""

    source: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    @property
    def links(self) -> list[str]:
        return [found["href"] or "" for tag, found in self.elements if tag == "a" and "href" in found]

    def fields(self, action: str) -> dict[str, str]:
        """The names and values of the hidden fields of a form."""
        found: dict[str, str] = {}
        is_inside = False
        for tag, attributes in self.elements:
            if tag == "form":
                is_inside = attributes.get("action") == action
            elif is_inside and tag == "input" and attributes.get("type") == "hidden":
                found[attributes["name"] or ""] = attributes["value"] or ""
        return found


class Visitor:
    """Visits a viewer. It has been given the start address, unless ``is_stranger``."""

    def __init__(self, start: str, *, is_stranger: bool = False) -> None:
        self.start = start
        parts = urlsplit(start)
        self.host = parts.netloc
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT)
        self.cookie = ""
        if not is_stranger:
            answer = self.send("GET", f"{parts.path}?{parts.query}")
            self.cookie = answer.headers["set-cookie"].partition(";")[0]

    def send(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request with exactly these headers, and a Host unless they have one."""
        given = dict(headers or {})
        self._connection.putrequest(method, path, skip_host="Host" in given, skip_accept_encoding=True)
        if body or method == "POST":
            given.setdefault("Content-Length", str(len(body)))
        for name, value in given.items():
            self._connection.putheader(name, value)
        self._connection.endheaders(body)
        response = self._connection.getresponse()
        return Answer(response.status, response.headers, response.read(), path)

    def get(self, path: str) -> Answer:
        return self.send("GET", path, headers={"Cookie": self.cookie})

    def post(self, path: str, form: Mapping[str, str], *, file: tuple[str, bytes] | None = None) -> Answer:
        """Send a form as a browser does, and follow the redirect."""
        if file is None:
            kind, body = "application/x-www-form-urlencoded", urlencode(form).encode()
        else:
            kind, body = _multipart(form, *file)
        headers = {"Cookie": self.cookie, "Origin": f"http://{self.host}", "Content-Type": kind}
        answer = self.send("POST", path, body, headers)
        return self.get(urljoin(path, answer.headers["location"])) if answer.status == 303 else answer

    def submit(self, page: str, action: str, **fields: str) -> Answer:
        """Open a page, fill in a form of it, and send that."""
        return self.post(action, self.get(page).page.fields(action) | fields)

    def close(self) -> None:
        self._connection.close()


def _multipart(form: Mapping[str, str], name: str, data: bytes) -> tuple[str, bytes]:
    border = secrets.token_hex(16)
    parts = [
        f'--{border}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in form.items()
    ]
    head = f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return f"multipart/form-data; boundary={border}", b"".join(
        [*parts, head.encode(), data, f"\r\n--{border}--\r\n".encode()]
    )


@contextmanager
def visiting(shelf: Any, *, write: bool = False) -> Iterator[Visitor]:
    """A visitor of a shelf that is served in the background."""
    with viewer.serving(shelf, write=write) as start:
        visitor = Visitor(start)
        try:
            yield visitor
        finally:
            visitor.close()


def address(key: Any) -> str:
    """The address of a key."""
    return address_of(encode(key))


def entry(key: Any, rest: str = "") -> str:
    """The path of the page of an entry."""
    return f"/entry/{address(key)}{rest}"
