"""Servers that die, stop, move, refuse and lie: nothing acknowledged is lost, nothing hangs, errors are clear."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ports import free_port
from tcp_proxy import TcpProxy
from valkey_servers import Cluster, Server, eventually, single
from writers import check_nothing_lost, lost, writing

import coshelf
from coshelf.errors import (
    MissingExtra,
    OutcomeUnknown,
    ShelfNotFound,
    ShelfPermissionError,
    StorageFull,
    Unavailable,
    Unsupported,
)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """A server for one test to kill, which syncs each write before it answers."""
    server = single(tmp_path / "server", "--appendfsync", "always")
    yield server
    server.kill()


def is_commit(request: bytes) -> bool:
    return b"EVALSHA" in request or b"EVAL\r\n" in request


# --- replies that are lost -------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(mortal: Server) -> Iterator[TcpProxy]:
    with TcpProxy(mortal.port) as proxy:
        yield proxy


def test_write_whose_reply_was_lost_happens_once(proxy: TcpProxy) -> None:
    with coshelf.open(f"redis://127.0.0.1:{proxy.port}/0/a") as shelf:
        shelf["n"] = 0
        losses = iter([True, False] * 100)
        proxy.swallow = lambda request: is_commit(request) and next(losses)
        for number in range(1, 11):
            assert shelf.modify("n", lambda n: n + 1) == number
        assert shelf["n"] == 10


def test_write_that_arrives_after_it_was_repeated_does_nothing(proxy: TcpProxy, mortal: Server) -> None:
    with coshelf.open(f"redis://127.0.0.1:{proxy.port}/0/a") as shelf:
        shelf["a"] = "before"
        first = iter([True])
        proxy.hold = lambda request: is_commit(request) and next(first, False)
        shelf["a"] = "mine"
        assert len(proxy.held) == 1
        for number in range(5):  # none of these uses its ticket
            shelf["a"] = number
        client = mortal.client

        def commits() -> int:
            return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])

        before = commits()
        proxy.release()
        eventually("the first delivery", lambda: commits() > before)
        assert shelf["a"] == 4


def test_outcome_is_unknown_when_the_server_stays_away_after_a_write_was_sent(proxy: TcpProxy, mortal: Server) -> None:
    with coshelf.open(f"redis://127.0.0.1:{proxy.port}/0/a", timeout=3) as shelf:
        shelf["a"] = 1
        proxy.swallow = is_commit
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown, match=f"127.0.0.1:{proxy.port}/0/a was sent and its reply lost.* after \\d"):
            shelf["a"] = 2
        assert time.monotonic() - began < 100
        proxy.swallow = lambda request: False
        assert shelf["a"] == 2  # it had happened


def test_nothing_is_repeated_where_a_ticket_could_be_evicted(proxy: TcpProxy, mortal: Server) -> None:
    mortal.client.config_set("maxmemory", "100mb")
    mortal.client.config_set("maxmemory-policy", "allkeys-lru")
    with coshelf.open(f"redis://127.0.0.1:{proxy.port}/0/a?evicts=allowed") as shelf:
        shelf["n"] = 0
        first = iter([True])
        proxy.swallow = lambda request: is_commit(request) and next(first, False)
        with pytest.raises(OutcomeUnknown):
            shelf.modify("n", lambda n: n + 1)
        assert shelf["n"] == 1


# --- servers that go away --------------------------------------------------------------------------------------------


def test_server_that_is_not_there_is_named_with_how_long_it_was_tried(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{port}.*\n.*timeout 0\.3 s"):
        coshelf.open(f"redis://127.0.0.1:{port}", timeout=0.3)


def test_reads_and_writes_wait_for_a_server_that_comes_back(mortal: Server) -> None:
    with coshelf.open(mortal.url) as shelf:
        shelf.update({number: number for number in range(500)})
        walk = iter(shelf.items())
        seen = [next(walk) for _ in range(250)]
        mortal.kill()
        again = threading.Timer(0.3, mortal.start, kwargs={"wait": False})
        again.start()
        assert shelf[1] == 1
        shelf["b"] = 2
        seen += walk
        assert len(seen) == 501
        again.join()
    with coshelf.open(mortal.url, timeout=3) as shelf:
        mortal.kill()
        with pytest.raises(Unavailable, match="tried"):
            shelf[1]
        with pytest.raises((Unavailable, OutcomeUnknown), match=r"tried|lost"):
            shelf[1] = 2
        with pytest.raises(Unavailable, match="nothing was written"):
            shelf[1] = 2
        mortal.start()
        assert shelf[1] == 1  # the pool heals


def test_server_that_stopped_is_given_up_in_time(mortal: Server) -> None:
    with coshelf.open(mortal.url, timeout=3) as shelf:
        shelf["a"] = 1
        mortal.signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown, match="Timeout"):
            shelf["a"] = 2
        with pytest.raises(Unavailable, match="Timeout"):
            shelf["a"]
        assert time.monotonic() - began < 100
        mortal.signal(signal.SIGCONT)
        assert shelf["a"] in (1, 2)
        shelf["a"] = 3
        assert shelf["a"] == 3


def test_server_that_comes_back_empty_takes_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path, "--save", "", "--appendonly", "no")
    try:
        with coshelf.open(server.url) as shelf:
            shelf["a"] = 1
            server.kill()
            server.start()
            with pytest.raises(ShelfNotFound, match="without persistence"):
                shelf["a"] = 2
    finally:
        server.kill()


def test_eight_writers_lose_nothing_when_the_server_is_killed(mortal: Server) -> None:
    with writing(mortal.url, 8) as writers:
        for _ in range(2):
            time.sleep(0.3)
            mortal.kill()
            time.sleep(0.1)
            mortal.start()
            writers.see_them_go_on()
        all_told = writers.finish()
    with coshelf.open(mortal.url) as shelf:
        assert shelf.capabilities.acknowledged == "durable"
        check_nothing_lost(shelf, all_told)
    assert sum(told.counted for told in all_told)
    assert [told.failed for told in all_told if told.failed] == []
    assert max(told.slowest for told in all_told) < 100


@pytest.mark.parametrize("query", ["", pytest.param("?buckets=16", marks=pytest.mark.long)])
def test_writers_go_on_when_a_primary_of_a_cluster_is_killed(tmp_path: Path, query: str) -> None:
    cluster = Cluster(tmp_path)
    try:
        url = f"{cluster.url}/a{query}"
        coshelf.open(url).close()
        victim = cluster.primary_of(b"coshelf:{a}:meta" if not query else b"coshelf:{a/3}:state")
        with writing(url, 4) as writers:
            time.sleep(0.5)
            killed = time.monotonic()
            victim.kill()
            dead = time.monotonic()
            with coshelf.open(url, timeout=20) as shelf:
                shelf["after"] = 1
                for number in range(40):
                    shelf["after", number] = 1
                writers.see_them_go_on()
                all_told = writers.finish()
                assert shelf.capabilities.acknowledged == "primary"
                # What was acknowledged right before the failover may be lost: that is what "primary" says, and no more.
                # When a writer came to note that is not asked: the system may have held it up.
                gone = lost(shelf, all_told)
                assert [(began, noted) for began, noted in gone if began > dead or noted < killed - 1] == []
                counted = sum(told.counted for told in all_told)
                assert shelf["count"] <= counted + sum(told.doubtful for told in all_told)
                assert shelf["count"] > counted - 200
        assert [told.failed for told in all_told if told.failed] == []
    finally:
        cluster.kill()


def test_sentinel_names_the_new_primary(tmp_path: Path) -> None:
    primary = single(tmp_path / "primary")
    replica = single(
        *(tmp_path / "replica", "--replicaof", f"127.0.0.1 {primary.port}", "--repl-diskless-sync-delay", "0")
    )
    place = tmp_path / "sentinel"
    place.mkdir()
    (place / "sentinel.conf").write_text(
        f"sentinel monitor it 127.0.0.1 {primary.port} 1\nsentinel down-after-milliseconds it 3000\n"
        "sentinel failover-timeout it 3000\n"
    )
    sentinel = Server(place, mode="--sentinel", configuration=place / "sentinel.conf")
    try:
        with contextlib.closing(replica.client) as client:
            eventually("replication", lambda: client.info("replication").get("master_link_status") == "up")
        with contextlib.closing(sentinel.client) as client:
            eventually("sentinel", lambda: client.sentinel_slaves("it"))
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/it/0/a"
        with coshelf.open(url) as shelf:
            assert shelf.capabilities.acknowledged == "primary"
            shelf["a"] = 1
            with contextlib.closing(primary.client) as client:
                eventually("the replica", lambda: client.wait(1, 1000) == 1)
            primary.kill()
            assert shelf["a"] == 1
            shelf["b"] = 2
            assert dict(shelf) == {"a": 1, "b": 2}
        with contextlib.closing(replica.client) as client:
            assert client.info("replication")["role"] == "master"
    finally:
        for each in (sentinel, replica, primary):
            each.kill()


# --- servers that refuse ---------------------------------------------------------------------------------------------


def test_full_server_stores_nothing_of_a_batch_and_loses_nothing(mortal: Server) -> None:
    with coshelf.open(mortal.url) as shelf:
        shelf.update(a=1, b=2)
        mortal.client.config_set("maxmemory", "1mb")
        with pytest.raises(StorageFull, match="no memory left"):
            shelf.update(a=5, c=3)
        assert dict(shelf) == {"a": 1, "b": 2}
        mortal.client.config_set("maxmemory", 0)
        shelf["c"] = 3
        assert dict(shelf) == {"a": 1, "b": 2, "c": 3}


def test_replica_is_read_and_never_written(mortal: Server, tmp_path: Path) -> None:
    with coshelf.open(mortal.url) as shelf:
        shelf["a"] = 1
    replica = single(tmp_path / "replica", "--replicaof", f"127.0.0.1 {mortal.port}", "--repl-diskless-sync-delay", "0")
    try:
        with contextlib.closing(replica.client) as client:
            eventually("replication", lambda: client.info("replication").get("master_link_status") == "up")
        with pytest.raises(Unsupported, match="is a replica"):
            coshelf.open(replica.url)
        with coshelf.open(replica.url, "r") as shelf:
            assert dict(shelf) == {"a": 1}
            assert shelf.capabilities.consistency == "eventual"
        with coshelf.open(mortal.url, timeout=3) as shelf:
            mortal.client.replicaof("127.0.0.1", replica.port)  # it becomes one while it is in use
            with pytest.raises(Unavailable, match="nothing was written"):
                shelf["a"] = 2
    finally:
        replica.kill()


def test_node_of_a_cluster_is_not_taken_for_a_server(cluster_base: Cluster) -> None:
    with pytest.raises(Unsupported, match=r"redis\+cluster://"):
        coshelf.open(cluster_base.nodes[0].url)


class Liar:
    """Answers every request with the same bytes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            while client.recv(1 << 16):
                client.sendall(self._answer)

    def close(self) -> None:
        self._listener.close()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak the protocol"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "loading"),
        (b"-MASTERDOWN Link with MASTER is down\r\n", "MASTERDOWN|down"),
        (b"", "Timeout"),
    ],
)
def test_what_is_no_server_in_service_is_said(answer: bytes, says: str) -> None:
    liar = Liar(answer)
    try:
        with pytest.raises(Unavailable, match=says):
            coshelf.open(liar.url, timeout=1)
    finally:
        liar.close()


def test_tls_to_a_server_without_it_is_an_error_in_time(mortal: Server) -> None:
    with pytest.raises(Unavailable):
        coshelf.open(mortal.url.replace("redis:", "rediss:"), timeout=0.3)


SECRET, WRONG = "sword" + "fish", "sword" + "fisch"


def test_no_secret_is_shown_anywhere(
    mortal: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    mortal.client.config_set("requirepass", SECRET)
    port = mortal.port

    def fail(url: str, error: type[Exception], timeout: float = 0.3) -> None:
        with pytest.raises(error) as caught:
            coshelf.open(url, timeout=timeout)
        shown.append("".join(traceback.format_exception(caught.value)))

    fail(f"redis://127.0.0.1:{port}", ShelfPermissionError, 30)
    fail(f"redis://:{WRONG}@127.0.0.1:{port}", ShelfPermissionError, 30)
    fail(f"redis://ann:{WRONG}@127.0.0.1:{port}", ShelfPermissionError, 30)
    fail(f"redis://:{SECRET}@127.0.0.1:{port}/0/{{a}}", ValueError)
    fail(f"redis://:{SECRET}@127.0.0.1:{port}?buckets=many", ValueError)
    fail(f"redis://:{SECRET}@127.0.0.1:{port}?shape=round", ValueError)
    fail(f"redis://:{SECRET}@127.0.0.1:{port}?password={SECRET}&socket_timeout={SECRET}", ValueError)
    fail(f"redis://:{SECRET}@127.0.0.1:{free_port()}", Unavailable)
    fail(f"redis+cluster://:{SECRET}@127.0.0.1:{port}", coshelf.CoshelfError)
    fail(f"redis+sentinel://:{SECRET}@127.0.0.1:{port}/it", coshelf.CoshelfError)
    with coshelf.open(f"redis://:{SECRET}@127.0.0.1:{port}/0/a") as shelf:
        shelf["a"] = 1
        engine: Any = shelf._handle.engine
        shown += [repr(shelf), shelf.name, repr(engine), repr(engine._client), repr(engine._client.address)]
        shown += [str(shelf.info()), repr(engine._client.client)]
        mortal.kill()
        with pytest.raises(Unavailable) as caught:
            coshelf.open(f"redis://:{SECRET}@127.0.0.1:{port}/0/a", timeout=0.2)
        shown.append("".join(traceback.format_exception(caught.value)))
        mortal.start()
    monkeypatch.setenv("COSHELF_REDIS_PASSWORD", SECRET)
    mortal.client.config_set("requirepass", SECRET)
    with coshelf.open(f"redis://127.0.0.1:{port}/0/a") as shelf:
        assert shelf["a"] == 1
        shown.append(repr(shelf))
    everything = "".join(shown) + caplog.text
    assert SECRET not in everything
    assert WRONG not in everything


def test_missing_client_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "redis" or "engines.redis" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setattr(importlib, "invalidate_caches", lambda: None)
    with pytest.raises(MissingExtra, match=r"pip install 'coshelf\[redis\]'"):
        coshelf.open("redis://127.0.0.1:1")
