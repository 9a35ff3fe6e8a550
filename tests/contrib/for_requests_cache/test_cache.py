"""The backend for requests-cache: what it stores, for how long, and what it refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from requests_cache import CachedResponse, CachedSession
from requests_cache.policy import utcnow
from support import Crew

import coshelf
from coshelf.contrib.requests_cache import CoshelfCache, CoshelfDict


class Answering(BaseHTTPRequestHandler):
    """Answers with the number of the request."""

    def do_GET(self) -> None:
        self.server.asked += 1
        body = str(self.server.asked).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class Site(ThreadingHTTPServer):
    asked = 0


@pytest.fixture
def site() -> Iterator[str]:
    with Site(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(params=["lmdb", "sqlite", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"{request.param}:{tmp_path}/http"


def response(expires: float | None = None) -> CachedResponse:
    """A response that expires after some seconds."""
    return CachedResponse(content=b"hello", expires=None if expires is None else utcnow() + timedelta(seconds=expires))


def test_sessions_share_a_cache(site: str, tmp_path: Path) -> None:
    for _ in range(2):
        with CachedSession(backend=CoshelfCache(tmp_path / "http.shelf"), expire_after=3600) as session:
            assert session.get(site).text == "1"
    with CachedSession(backend=CoshelfCache(tmp_path / "http.shelf")) as session:
        session.cache.delete(urls=[site])
        assert session.get(site).text == "2"
        assert len(session.cache.responses) == 1
        session.cache.clear()
        assert len(session.cache.responses) == 0


def test_responses_are_plain_data_and_need_no_trust(target: str) -> None:
    cache = CoshelfCache(target)
    cache.responses["key"] = response()
    whole = cache.responses._part.whole
    assert type(whole["requests_cache/responses/key"]) is dict
    cache.close()
    if target != "memory:":
        again = CoshelfCache(target, trust=False)
        assert again.responses["key"].content == b"hello"
        again.close()


def test_a_serializer_of_requests_cache_makes_bytes(target: str) -> None:
    cache = CoshelfCache(target, serializer="pickle")
    cache.responses["key"] = response()
    assert isinstance(cache.responses._shelf["key"], bytes)
    assert cache.responses["key"].content == b"hello"
    cache.close()


def test_an_expired_response_stays_for_the_offset(target: str) -> None:
    cache = CoshelfCache(target, ttl_offset=500)
    for key, expires in (("later", 1000), ("before", -10_000), ("never", None)):
        cache.responses[key] = response(expires)
    shelf, now = cache.responses._shelf, time.time()
    assert now + 1400 < shelf.expires("later") <= now + 1501
    assert now + 400 < shelf.expires("before") <= now + 501
    assert shelf.expires("never") is None
    assert [key for key, each in cache.responses.items() if each.is_expired] == ["before"]
    cache.delete(expired=True)
    assert sorted(cache.responses) == ["later", "never"]
    cache.close()


def test_without_ttl_nothing_is_removed_by_itself(target: str) -> None:
    cache = CoshelfCache(target, ttl=False)
    cache.responses["key"] = response(1000)
    assert cache.responses._shelf.expires("key") is None
    cache.close()


def test_tables_and_parts_of_a_shelf_stay_apart() -> None:
    with coshelf.open("memory:") as shelf:
        one, other = CoshelfCache(shelf), CoshelfCache(shelf, part="other")
        shelf["mine"] = 1
        for cache in (one, other):
            cache.responses["key"], cache.redirects["key"] = response(), "target"
        one.clear()
        assert len(shelf) == 3
        assert (other.redirects["key"], "key" in one.redirects) == ("target", False)
        one.close()
        assert shelf["mine"] == 1


def test_deleting_many_is_one_commit(target: str) -> None:
    table = CoshelfDict(target)
    for number in range(20):
        table[f"key {number}"] = "value"
    table.bulk_delete([])
    before = table._part.whole.version
    with table._part.whole.watch(timeout=0) as watch:
        table.bulk_delete(f"key {number}" for number in range(30))
        assert sum(change.is_last for change in watch) == 1
    assert table._part.whole.version != before
    assert len(table) == 0
    table.close()


@pytest.mark.parametrize("key", ["", "a/b", "ä" * 1_000, "a\0b"])
def test_keys_may_have_any_characters(target: str, key: str) -> None:
    table = CoshelfDict(target)
    table[key] = "value"
    assert (table[key], list(table)) == ("value", [key])
    table.close()


def test_wrong_targets_are_refused_and_stay(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>" * 1000)
    with pytest.raises(coshelf.NotAShelf):
        CoshelfCache(tmp_path / "page.html").responses["key"]
    assert (tmp_path / "page.html").read_text() == "<html>" * 1000
    with pytest.raises(coshelf.Unsupported, match="expiry is required"):
        len(CoshelfCache(f"{tmp_path}/files/").responses)
    cache = CoshelfCache(tmp_path / "a.shelf")
    cache.responses["key"] = response()
    cache.close()
    with pytest.raises(coshelf.ShelfClosed):
        cache.responses["key"]
    again = CoshelfCache(tmp_path / "a.shelf", flag="r")
    with pytest.raises(coshelf.ReadOnlyShelf):
        again.clear()
    assert again.responses["key"].content == b"hello"
    again.close()


STORING = """
    from requests_cache import CachedResponse
    from coshelf.contrib.requests_cache import CoshelfCache
    cache = CoshelfCache(path)
    number = 0
    while True:
        cache.responses[str(number)] = CachedResponse(content=bytes(10_000))
        say(number)
        number += 1
"""


def test_a_kill_loses_no_response_that_was_stored(crew: Crew, path: str) -> None:
    worker = crew.start(STORING, path)
    heard = [worker.hear() for _ in range(20)]
    worker.kill()
    last = int([*heard, *worker.rest().splitlines()][-1])
    cache = CoshelfCache(path)
    assert len(cache.responses) in (last + 1, last + 2)
    assert all(each.content == bytes(10_000) for each in cache.responses.values())
    cache.close()
