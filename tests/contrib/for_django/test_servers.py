"""Sites under real web servers, and shelves on database servers."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from postgresql import postgresql
from program import PATIENCE, Program, wait_for
from valkey_servers import a_name, single

import coshelf
from coshelf.contrib.django.cache import CoshelfCache
from coshelf.contrib.django.sessions import SessionStore

__all__ = ["postgresql"]

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

VISITORS, VISITS = 4, 40
SERVERS = {
    "gunicorn-gthread-preload": (
        "gunicorn counting_site:wsgi --bind unix:{} --workers 2 -k gthread --threads 3 --preload",
        "",
    ),
    "gunicorn-sync-preload": ("gunicorn counting_site:wsgi --bind unix:{} --workers 2 --preload", "task"),
    "uvicorn": ("uvicorn counting_site:asgi --uds {} --workers 2", "task"),
}


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


def visit(address: str, page: str, cookie: str = "") -> tuple[dict[str, int], str]:
    """What the page answers, and the cookie of the session."""
    connection = Connection(address)
    try:
        connection.request("GET", f"/{page}", headers={"Cookie": cookie} if cookie else {})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return json.loads(body), answer.headers["Set-Cookie"].partition(";")[0]
    finally:
        connection.close()


def answers(address: str, page: str) -> bool:
    try:
        visit(address, page)
    except (OSError, http.client.HTTPException):
        return False
    return True


@pytest.mark.parametrize(("server", "page"), SERVERS.values(), ids=SERVERS)
def test_visits_are_counted_exactly_and_no_request_leaves_a_handle_open(
    server: str, page: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "scripts"))
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket has at most 107 bytes
        address = os.path.join(folder, "s")
        with Program(*server.format(address).split(), folder=tmp_path, COUNTING_SITE_SHELF=path) as program:
            wait_for(lambda: not program.is_running or answers(address, page), "the server to answer")
            assert program.is_running, program.said()
            with coshelf.open(path) as shelf:
                before = shelf["django/cache/:1:count"]

                def visit_often(_: int) -> list[dict[str, int]]:
                    found, cookie = [], ""
                    for _ in range(VISITS):
                        answer, cookie = visit(address, page, cookie)
                        found.append(answer)
                    return found

                with ThreadPoolExecutor(VISITORS) as visitors:
                    found = list(visitors.map(visit_often, range(VISITORS)))
                assert shelf["django/cache/:1:count"] == before + VISITORS * VISITS
            assert [[answer["visits"] for answer in one] for one in found] == [list(range(1, VISITS + 1))] * VISITORS
            counts = [answer["count"] for one in found for answer in one]
            assert sorted(counts) == list(range(before + 1, before + 1 + VISITORS * VISITS))
            opened: defaultdict[int, list[int]] = defaultdict(list)
            for one in found:
                for answer in one[VISITS // 2 :]:
                    opened[answer["pid"]].append(answer["open"])
            # A flush may have a file open for a moment. What a request left open would be dozens.
            assert all(0 < min(numbers) <= max(numbers) < min(numbers) + 5 for numbers in opened.values()), opened
            assert program.stop() == 0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    server = single(tmp_path)
    yield f"{server.url}/0/{a_name()}"
    server.kill()


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
@pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
def test_cache_and_sessions_work_on_a_server(kind: str, request: pytest.FixtureRequest) -> None:
    found: Any = request.getfixturevalue(kind)
    url = found if kind == "redis" else found.url("site")
    cache = CoshelfCache(url, {})
    cache.set("a", 1, timeout=1000)
    assert (cache.incr("a"), cache.add("a", 5), cache.touch("a", 900)) == (2, False, True)
    assert cache.set_many({"b": 1, "c": 2}) == []
    assert cache.get_many("abcd") == {"a": 2, "b": 1, "c": 2}
    cache.delete_many("bcd")
    assert (cache.incr_version("a"), cache.has_key("a"), cache.get("a", version=2)) == (2, False, 2)
    assert cache.get("x" * 5000) is None  # longer than a key may be on PostgreSQL

    async def main() -> None:
        await cache.aset("a", 1)
        assert await cache.aincr("a") == 2
        await cache.aset_many({"b": 1})
        assert await cache.aget_many("ab") == {"a": 2, "b": 1}
        await cache.adelete_many("b")
        assert await cache.aget("b") is None

    asyncio.run(main())
    with override_settings(SESSION_SHELF=url):
        session = SessionStore()
        session["name"] = "ann"
        session.save()
        session["name"] = "bob"
        session.save()
        assert SessionStore(session.session_key)["name"] == "bob"
        assert SessionStore("x" * 5000).get("name") is None
        session.flush()
        assert len(cache.shelf) == 2
        cache._held.close()
