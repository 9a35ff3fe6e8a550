"""Web servers whose workers share one shelf. What was answered is there, whatever happened to a worker."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from program import PATIENCE, Program, wait_for

import coshelf

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

VISITORS, VISITS = 6, 60


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


def visit(address: str, name: str) -> int | None:
    """What the page answers; None if the connection broke, so that nobody knows what has happened."""
    connection = _Connection(address)
    try:
        connection.request("GET", f"/{name}")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        return int(answer.read())
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@pytest.fixture
def address() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket has at most 107 bytes
        yield os.path.join(folder, "s")


_GUNICORN = "gunicorn counting_page:wsgi --bind unix:{} --workers"
SERVERS = {
    "gunicorn-sync": f"{_GUNICORN} 3",
    "gunicorn-sync-preload": f"{_GUNICORN} 3 --preload",
    "gunicorn-gthread": f"{_GUNICORN} 2 -k gthread --threads 4",
    "gunicorn-gthread-preload": f"{_GUNICORN} 2 -k gthread --threads 4 --preload",
    "gunicorn-gevent": f"{_GUNICORN} 2 -k gevent",
    "gunicorn-gevent-preload": f"{_GUNICORN} 2 -k gevent --preload",
    "uvicorn": "uvicorn counting_page:asgi --uds {} --workers 3",
}


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_workers_count_every_visit_and_lose_none_when_one_is_killed(
    server: str, path: Path, address: str, tmp_path: Path
) -> None:
    arguments = server.format(address).split()
    with Program(*arguments, folder=tmp_path, COUNTING_PAGE_SHELF=str(path)) as program:
        wait_for(lambda: not program.is_running or visit(address, "first") is not None, f"{arguments[0]} to answer")
        assert program.is_running
        with coshelf.open(path) as shelf:
            before = shelf["count"]

            def visit_often(visitor: int) -> list[str]:
                """The visits that were answered."""
                names = [f"{visitor}/{number}" for number in range(VISITS)]
                return [name for name in names if visit(address, name) is not None]

            with ThreadPoolExecutor(VISITORS) as visitors:
                results = [visitors.submit(visit_often, visitor) for visitor in range(VISITORS)]
                wait_for(lambda: shelf["count"] > before + VISITS, "visits")
                os.kill(shelf["visits//first"], signal.SIGKILL)
                answered = [name for result in results for name in result.result()]
            assert len(answered) > VISITORS * VISITS / 2
            assert [name for name in answered if f"visits//{name}" not in shelf] == []
            assert before + len(answered) <= shelf["count"] <= before + VISITORS * VISITS
            assert len({shelf[f"visits//{name}"] for name in answered}) > 1
        assert program.stop() == 0
    with coshelf.open(path, "r") as shelf:
        assert [name for name in answered if f"visits//{name}" not in shelf] == []
        assert not shelf.check().problems
