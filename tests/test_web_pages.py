"""examples/web_pages.py, with a server of its own, by a clock that the tests move, and as a program."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
import urllib.error
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.testing.moving_clock import MovingClock

EXAMPLE = Path(__file__).parents[1] / "examples" / "web_pages.py"
LIMIT = 300.0  # seconds; a run that needs them hangs


class Site:
    """A server on the loopback interface: its pages, each with an ETag, and what it answered."""

    def __init__(self) -> None:
        self.pages = {"/": b"front page", "/other": b"other page"}
        self.answers: list[tuple[str, int]] = []
        self.answered = threading.Condition()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for(self, count: int) -> None:
        """Wait until so many requests have come and are answered."""
        with self.answered:
            assert self.answered.wait_for(lambda: len(self.answers) >= count, LIMIT)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.may_answer.wait(LIMIT)
                body = site.pages.get(self.path, b"")
                etag = f'"{body.hex()}"'
                status = 404 if not body else 304 if self.headers["If-None-Match"] == etag else 200
                with site.answered:
                    site.answers.append((self.path, status))
                    site.answered.notify_all()
                self.send_response(status)
                self.send_header("ETag", etag)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)) if status == 200 else "0")
                self.end_headers()
                if status == 200:
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Write nothing."""

        return Handler


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.may_answer.set()
    made.close()


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The cache of the example, on a new shelf: fresh for 50 seconds, kept for 100 more."""
    monkeypatch.syspath_prepend(EXAMPLE.parent)
    example = importlib.import_module("web_pages")
    with coshelf.open(tmp_path / "web.cache") as shelf:
        yield example.Pages(shelf, fresh=50, keep=100)
        for thread in threading.enumerate():
            if thread.name == "coshelf-refresh":  # it has its answer, and stores the page
                thread.join(LIMIT)
    del sys.modules["web_pages"]


@pytest.fixture
def clock() -> Iterator[MovingClock]:
    with MovingClock() as clock:
        yield clock


def test_fresh_page_is_asked_for_once(clock: MovingClock, site: Site, pages: Any) -> None:
    for _ in range(3):
        page = pages.get(site.url + "/")
        assert (page.body, page.kind) == (b"front page", "text/plain")
        clock.pass_by(10)
    assert pages.get(site.url + "/other").body == b"other page"
    assert site.answers == [("/", 200), ("/other", 200)]


def test_stale_page_is_asked_for_by_its_etag(clock: MovingClock, site: Site, pages: Any) -> None:
    pages.get(site.url + "/")
    clock.pass_by(50)
    assert pages.get(site.url + "/").body == b"front page"
    clock.pass_by(50)
    site.pages["/"] = b"new front page"
    assert pages.get(site.url + "/").body == b"new front page"
    assert site.answers == [("/", 200), ("/", 304), ("/", 200)]


def test_unchanged_page_is_kept_anew(clock: MovingClock, site: Site, pages: Any) -> None:
    pages.get(site.url + "/")
    for _ in range(3):
        clock.pass_by(149)
        pages.get(site.url + "/")
    assert [status for _, status in site.answers] == [200, 304, 304, 304]


def test_page_that_nobody_asks_for_is_forgotten(clock: MovingClock, site: Site, pages: Any) -> None:
    pages.get(site.url + "/")
    clock.pass_by(149)
    assert [url for url, _, _ in pages.listing()] == [site.url + "/"]
    clock.pass_by(1)
    assert pages.listing() == []
    assert pages.get(site.url + "/").body == b"front page"
    assert site.answers == [("/", 200), ("/", 200)]


def test_nobody_waits_for_a_page_that_is_still_fresh(clock: MovingClock, site: Site, pages: Any) -> None:
    pages.get(site.url + "/")
    clock.pass_by(45)
    site.pages["/"] = b"new front page"
    site.may_answer.clear()
    assert pages.get(site.url + "/").body == b"front page"  # asks in the background
    site.may_answer.set()
    site.wait_for(2)
    assert site.answers == [("/", 200), ("/", 200)]


def test_page_that_cannot_be_had_is_an_error_and_not_kept(site: Site, pages: Any) -> None:
    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            pages.get(site.url + "/missing")
    assert site.answers == [("/missing", 404)] * 2
    with pytest.raises(urllib.error.URLError, match="only http and https"):
        pages.get(EXAMPLE.as_uri())
    assert pages.listing() == []


def command(cache: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(EXAMPLE), "--cache", str(cache), *arguments]


def environment() -> dict[str, str]:
    source = str(Path(coshelf.__file__).parents[1])
    without_proxy = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return without_proxy | {"PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))}


def test_programs_that_want_one_page_ask_for_it_once(site: Site, tmp_path: Path) -> None:
    cache = tmp_path / "web.cache"
    coshelf.open(cache).close()
    some = [
        subprocess.Popen(
            command(cache, "--fresh", "3600", site.url + "/"), stdout=-1, stderr=-1, env=environment(), text=True
        )
        for _ in range(2)
    ]
    told = [program.communicate(timeout=LIMIT) for program in some]
    assert [program.returncode for program in some] == [0, 0], told
    assert [stdout for stdout, _ in told] == ["front page"] * 2
    assert site.answers == [("/", 200)]
    done = subprocess.run(
        command(cache, "--list", site.url + "/missing"), capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {site.url}/missing: HTTP Error 404")
    assert done.stdout.split()[0] == "10"
    assert done.stdout.split()[2] == site.url + "/"
