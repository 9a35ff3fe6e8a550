"""A site on the loopback interface: pages with numbers, each with links to three others."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Site", "serving"]


class Site(ThreadingHTTPServer):
    """A site of ``pages`` pages. From a number of requests on it answers no more, until it is told to go on."""

    daemon_threads = True

    def __init__(self, pages: int) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.pages = pages
        self.asked: Counter[int] = Counter()
        self.is_stuck = threading.Event()
        self._going = threading.Event()
        self._last = 1 << 60
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def stop_after(self, requests: int) -> None:
        """Answer this many requests more. ``is_stuck`` is set when the next one is there."""
        self.is_stuck.clear()
        self._going.clear()
        self._last = self.asked.total() + requests

    def go_on(self) -> None:
        """Answer all requests."""
        self._last = 1 << 60
        self._going.set()

    def links(self, page: int) -> list[int]:
        return [link for link in range(3 * page + 1, 3 * page + 4) if link < self.pages]

    def ask(self, page: int) -> None:
        """Count a request, and wait if the site answers no more."""
        with self._lock:
            self.asked[page] += 1
            must_wait = self.asked.total() > self._last
        if must_wait:
            self.is_stuck.set()
            self._going.wait()


class _Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        page = int(self.path.strip("/"))
        self.server.ask(page)
        body = "".join(f'<a href="/{link}"></a>' for link in self.server.links(page)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the crawl was killed
            super().handle()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def serving(pages: int) -> Iterator[Site]:
    """A site that answers while the block runs."""
    with Site(pages) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        try:
            yield site
        finally:
            site.go_on()
            site.shutdown()
            thread.join()
