"""A cache of web pages that all programs of a machine share.

    python web_pages.py [--cache FILE] [--fresh SECONDS] [--keep SECONDS] [--list] [URL ...]

A server is asked for a page once in ``--fresh`` seconds, by one process at a time, and the others wait for it. After
that it is asked whether the page has changed since, by its ETag. Pages that nobody asks for are forgotten.
"""

from __future__ import annotations

import argparse
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import coshelf

TIMEOUT = 30.0  # seconds for one request
LARGEST = 50_000_000  # bytes of a page


@dataclass
class Page:
    """A page as the server sent it."""

    body: bytes
    kind: str
    etag: str | None = None
    modified: str | None = None


@dataclass
class Answer:
    """What a server said last: 200 with the page, or 304 if it had not changed."""

    status: int
    at: float


class Pages:
    """Web pages, kept in a shelf.

    Args:
        shelf: where they are kept: the pages under ``page/``, and when the servers were asked under ``asked/``.
        fresh: for how many seconds a page is used without asking its server. In the last fifth of them a program that
            runs on asks in the background, so none of its callers waits.
        keep: for how many seconds a page is kept after that.
    """

    def __init__(self, shelf: coshelf.Shelf[str, Any], fresh: float = 60.0, keep: float = 86_400.0) -> None:
        self._pages: coshelf.Shelf[str, Page] = shelf.sub("page")
        self._kept = fresh + keep

        @shelf.sub("asked").memoize(expire=fresh, refresh=fresh / 5)
        def ask(url: str) -> Answer:
            return self._ask(url)

        self.ask = ask

    def get(self, url: str) -> Page:
        """The page. Raises urllib.error.URLError if there is none, and if it cannot be had."""
        self.ask(url)
        try:
            return self._pages[url]
        except KeyError:  # removed since
            self.ask.forget(url)
            self.ask(url)
            return self._pages[url]

    def _ask(self, url: str) -> Answer:
        if not url.startswith(("http://", "https://")):
            raise urllib.error.URLError("only http and https are read")
        old = self._pages.get(url)
        request = urllib.request.Request(url, headers={"User-Agent": "coshelf example"})  # noqa: S310 (see above)
        if old is not None and old.etag:
            request.add_header("If-None-Match", old.etag)
        if old is not None and old.modified:
            request.add_header("If-Modified-Since", old.modified)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310 (see above)
                body = response.read(LARGEST + 1)
                headers = response.headers
        except urllib.error.HTTPError as error:
            # The page may have expired while the server was asked. Then it is asked for the whole page.
            if error.code == 304 and self._pages.touch(url, expire=self._kept):
                return Answer(304, time.time())
            if error.code == 304 and old is not None:
                return self._ask(url)
            raise
        if len(body) > LARGEST:
            raise urllib.error.URLError(f"the page is larger than {LARGEST:,} bytes")
        page = Page(body, headers.get("Content-Type", ""), headers.get("ETag"), headers.get("Last-Modified"))
        self._pages.set(url, page, expire=self._kept)
        return Answer(200, time.time())

    def listing(self) -> list[tuple[str, int, float]]:
        """Each page that is kept: its URL, its size, and for how many seconds."""
        with self._pages.snapshot() as pages:
            now = time.time()
            return [(url, len(page.body), (pages.expires(url) or now) - now) for url, page in pages.items()]


def main() -> int:
    """Print pages. Returns 0, 1 if one cannot be had, 2 for wrong usage, 3 for an error of the shelf."""
    parser = argparse.ArgumentParser(description="Read web pages through a cache that all programs share.")
    parser.add_argument("urls", metavar="URL", nargs="*")
    parser.add_argument("--cache", metavar="FILE", default="web.cache", help="where the pages are kept (%(default)s)")
    parser.add_argument("--fresh", metavar="SECONDS", type=float, default=60.0, help="used unasked (%(default)s)")
    parser.add_argument("--keep", metavar="SECONDS", type=float, default=86_400.0, help="kept after that (%(default)s)")
    parser.add_argument("--list", action="store_true", help="print what is kept, with the seconds that are left")
    options = parser.parse_args()
    if not (options.fresh > 0 and options.keep > 0):
        parser.error("--fresh and --keep are numbers of seconds above 0")
    failed = False
    try:
        with coshelf.open(options.cache, require="expiry") as shelf:
            pages = Pages(shelf, options.fresh, options.keep)
            for url in options.urls:
                failed = not show(pages, url) or failed
            if options.list:
                for url, size, left in pages.listing():
                    print(f"{size:>12,} {left:>10,.0f}  {url}")
    except coshelf.CoshelfError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    return int(failed)


def show(pages: Pages, url: str) -> bool:
    """Print a page, and on standard error where it comes from. Return whether there is one."""
    begun = time.time()
    try:
        page = pages.get(url)
    except (urllib.error.URLError, OSError) as error:
        print(f"error: {url}: {error}", file=sys.stderr)
        return False
    answer = pages.ask(url)
    source = f"asked {begun - answer.at:.0f} s ago" if answer.at < begun else f"answered {answer.status}"
    print(f"{url}: {len(page.body):,} bytes, {source}", file=sys.stderr)
    sys.stdout.buffer.write(page.body)
    sys.stdout.flush()
    return True


if __name__ == "__main__":
    from web_pages import main as run  # what is pickled must be web_pages.Page, which others can import, too

    sys.exit(run())
