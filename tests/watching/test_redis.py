"""Changes on servers of Redis or Valkey: writers, watchers, servers and connections that end in the middle."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tcp_proxy import TcpProxy
from valkey_servers import Cluster, Server, a_name, eventually, single
from watchers import Seen, check_all_told, watching
from writers import writing

import coshelf
from coshelf.contract import Batch, OpenOptions
from coshelf.engines import open_engine
from coshelf.errors import Unsupported
from coshelf.keys import FIRST, LAST, encode
from coshelf.testing.contract.task import Task

ALL = ((FIRST, LAST),)


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests of this module."""
    server = single(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def url(steady: Server) -> str:
    return f"{steady.url}/0/{a_name()}"


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """A server for one test to kill, which syncs each write before it answers."""
    server = single(tmp_path / "server", "--appendfsync", "always")
    yield server
    server.kill()


def through(proxy: TcpProxy) -> str:
    return f"redis://127.0.0.1:{proxy.port}/0/a"


@contextlib.contextmanager
def replicated(place: Path) -> Iterator[tuple[Server, Server]]:
    """A server and its replica."""
    primary = single(place / "primary")
    replica = single(
        *(place / "replica", "--replicaof", f"127.0.0.1 {primary.port}", "--repl-diskless-sync-delay", "0")
    )
    try:
        yield primary, replica
    finally:
        for each in (replica, primary):
            each.kill()


def wait_for_replica(primary: Server, replica: Server) -> None:
    """Wait until a replica has all that its primary has."""

    def has_all() -> bool:
        there = other.info("replication")
        is_up = there.get("master_link_status") == "up"
        return is_up and there["slave_repl_offset"] >= client.info("replication")["master_repl_offset"]

    with contextlib.closing(primary.client) as client, contextlib.closing(replica.client) as other:
        eventually("the replica", has_all)


def history_of(url: str) -> bytes:
    return b"coshelf:{" + url.rpartition("/")[2].encode() + b"}:history"


# --- processes that are killed ---------------------------------------------------------------------------------------


def test_writers_that_are_killed_leave_no_change_untold(url: str) -> None:
    with watching(url) as watcher, writing(url, 3) as writers, coshelf.open(url) as shelf:
        for number in range(3):
            watcher.more(50)
            writers.kill(number)
        check_all_told(watcher.to_the_end(shelf), shelf)


def test_watchers_that_are_killed_go_on_where_they_were(url: str) -> None:
    many = 1_500  # far less than the history keeps, however slow the watchers are

    def write() -> None:
        with coshelf.open(url) as shelf:
            for number in range(many):
                shelf[number % 7] = number

    with coshelf.open(url) as shelf:
        since: Any = shelf.version
        seen: list[Seen] = []
        writer = Task(write)
        for _ in range(3):
            with watching(url, since) as watcher:
                watcher.more(100)
                seen += watcher.kill()[:300]  # of what it was told it has dealt with so much
                since = seen[-1].version
        writer.finish()
        with watching(url, since) as watcher:
            seen += watcher.to_the_end(shelf)
    assert [(each.key, each.value) for each in seen] == [(number % 7, number) for number in range(many)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_reader_in_a_forked_child_is_its_own(url: str) -> None:
    with (
        contextlib.closing(open_engine(url, OpenOptions())) as engine,
        engine.changes(ALL, engine.position()) as reader,
    ):
        assert reader.read(0.01) == []
        child = os.fork()
        if child == 0:
            try:
                engine.commit(Batch(puts={encode("child"): b"\x80\x04N."}))
                os._exit([change.key for change in reader.read(60)] != [encode("child")])
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert [change.key for change in reader.read(60)] == [encode("child")]
        engine.commit(Batch(puts={encode("parent"): b"\x80\x04N."}))
        assert [change.key for change in reader.read(60)] == [encode("parent")]


# --- servers that are killed -----------------------------------------------------------------------------------------


def test_server_that_is_killed_and_comes_back_loses_no_change(mortal: Server) -> None:
    with watching(mortal.url) as watcher, writing(mortal.url, 3) as writers, coshelf.open(mortal.url) as shelf:
        for _ in range(2):
            watcher.more(100)
            mortal.kill()
            mortal.start()
            writers.see_them_go_on()
        all_told = writers.finish()
        check_all_told(watcher.to_the_end(shelf), shelf, all_told)


@pytest.mark.long
def test_promoted_replica_goes_on_with_what_it_has(tmp_path: Path) -> None:
    place = tmp_path / "sentinel"
    place.mkdir()
    with replicated(tmp_path) as (primary, replica):
        (place / "sentinel.conf").write_text(
            f"sentinel monitor it 127.0.0.1 {primary.port} 1\nsentinel down-after-milliseconds it 3000\n"
            "sentinel failover-timeout it 3000\n"
        )
        wait_for_replica(primary, replica)
        sentinel = Server(place, mode="--sentinel", configuration=place / "sentinel.conf")
        try:
            with contextlib.closing(sentinel.client) as client:
                eventually("sentinel", lambda: client.sentinel_slaves("it"))
            url = f"redis+sentinel://127.0.0.1:{sentinel.port}/it/0/a"
            with coshelf.open(url) as shelf, watching(url) as watcher, writing(f"{url}?wait=1", 2) as writers:
                watcher.more(50)
                all_told = writers.finish()
                wait_for_replica(primary, replica)
                primary.kill()
                shelf["after"] = 1
                seen = watcher.to_the_end(shelf)
                assert [each.value for each in seen if each.key == "after"] == [1]
                del shelf["after"]
                check_all_told([each for each in seen if each.key != "after"], shelf, all_told)
        finally:
            sentinel.kill()


@pytest.mark.long
@pytest.mark.parametrize("buckets", [1, 4])
def test_watch_goes_on_when_a_primary_of_a_cluster_is_killed(tmp_path: Path, buckets: int) -> None:
    cluster = Cluster(tmp_path)
    try:
        with coshelf.open(f"{cluster.url}/a?buckets={buckets}") as shelf, shelf.watch(timeout=300) as watch:
            with coshelf.open(f"{cluster.url}/a?wait=1") as waiting:
                for number in range(20):
                    waiting[number] = "before"
            assert {next(watch).key for _ in range(20)} == set(range(20))
            cluster.primary_of(b"coshelf:{a}:state" if buckets == 1 else b"coshelf:{a/1}:state").kill()
            for number in range(20):
                shelf.set(number, "after")
            assert {(change.key, change.value) for change in (next(watch) for _ in range(20))} == {
                (number, "after") for number in range(20)
            }
            assert watch.next(0) is None
    finally:
        cluster.kill()


def test_failover_that_loses_the_last_commits_is_told_as_a_gap(tmp_path: Path) -> None:
    with (
        replicated(tmp_path) as (primary, replica),
        TcpProxy(primary.port) as proxy,
        coshelf.open(through(proxy)) as shelf,
        shelf.watch(timeout=300) as watch,
    ):
        shelf["a"] = 1
        assert next(watch).value == 1
        wait_for_replica(primary, replica)
        with contextlib.closing(replica.client) as client:
            client.replicaof("NO", "ONE")
        shelf["a"] = "lost"
        shelf["b"] = "lost"
        assert [next(watch).value for _ in range(2)] == ["lost", "lost"]
        proxy.cut(replica.port)
        primary.kill()
        # As many commits as were lost, and one more: their counts are given out a second time.
        for number in range(3):
            shelf["c"] = number
        gap = next(watch)
        assert (gap.kind, gap.key) == ("gap", None)
        assert dict(shelf) == {"a": 1, "c": 2}
        shelf["d"] = 4
        told = []
        while not told or told[-1] != ("d", 4):
            change = next(watch)
            told.append((change.key, change.value))
        assert told in ([("d", 4)], *([("c", n) for n in range(first, 3)] + [("d", 4)] for first in range(3)))


# --- connections that are cut ----------------------------------------------------------------------------------------


def test_connections_that_are_cut_lose_no_change_and_double_none(url: str, steady: Server) -> None:
    with TcpProxy(steady.port) as proxy:
        behind = url.replace(str(steady.port), str(proxy.port))
        with watching(behind) as watcher, writing(behind, 2) as writers, coshelf.open(url) as shelf:
            for _ in range(8):
                watcher.more(30)
                proxy.cut()
            writers.see_them_go_on()
            all_told = writers.finish()
            check_all_told(watcher.to_the_end(shelf), shelf, all_told)


def test_commit_that_is_sent_twice_is_told_once(url: str, steady: Server) -> None:
    with TcpProxy(steady.port) as proxy:
        behind = url.replace(str(steady.port), str(proxy.port))
        with coshelf.open(url) as shelf, coshelf.open(behind) as other, shelf.watch(timeout=300) as watch:
            losses = iter([True, False] * 100)
            proxy.swallow = lambda request: b"EVALSHA" in request and next(losses)
            for number in range(10):
                other["a"] = number
            assert [next(watch).value for _ in range(10)] == list(range(10))
            assert watch.next(0) is None


# --- the history -----------------------------------------------------------------------------------------------------


def test_commits_that_nobody_watches_cost_one_look(url: str, steady: Server) -> None:
    with coshelf.open(url) as shelf, contextlib.closing(steady.client) as client:
        shelf["a"] = 0
        client.config_resetstat()
        for number in range(10):
            shelf["a"] = number
        calls = {name: each["calls"] for name, each in client.info("commandstats").items()}
        assert calls["cmdstat_exists"] == 2 * 10  # for the times of entries, and for a history
        assert not {"cmdstat_xadd", "cmdstat_xread", "cmdstat_hmget"} & calls.keys()
        assert client.exists(history_of(url)) == 0


def test_history_ends_by_itself_when_nobody_renews_it(url: str, steady: Server) -> None:
    with coshelf.open(url) as shelf, contextlib.closing(steady.client) as client:
        version = shelf.version
        shelf["a"] = 1
        assert client.exists(history_of(url)) == 1
        assert 0 < client.ttl(history_of(url)) <= 120
        client.delete(history_of(url))  # as the server does at that time
        shelf["a"] = 2
        with shelf.watch(since=version, timeout=300) as watch:
            assert next(watch).kind == "gap"
            shelf["a"] = 3
            assert next(watch).value == 3


def test_who_comes_after_the_tail_is_told_one_gap_and_goes_on(url: str, steady: Server) -> None:
    with coshelf.open(url) as shelf, contextlib.closing(steady.client) as client, shelf.watch(timeout=300) as watch:
        for number in range(20):
            shelf["a"] = number
        client.xtrim(history_of(url), maxlen=5, approximate=False)  # as commits do, but for the number
        assert next(watch).kind == "gap"
        shelf["a"] = "after"
        assert next(watch).value == "after"
        assert watch.next(0) is None


@pytest.mark.long
def test_history_has_a_bounded_length(url: str, steady: Server) -> None:
    with contextlib.closing(open_engine(url, OpenOptions())) as engine, contextlib.closing(steady.client) as client:
        since = engine.position()
        for number in range(12_000):
            engine.commit(Batch(puts={encode(number % 10): b"\x80\x04N."}))
        assert 10_000 <= client.xlen(history_of(url)) < 10_500
        with engine.changes(ALL, since) as reader:
            assert [change.kind for change in reader.read(0)] == ["gap"]


def test_commit_that_is_too_large_for_the_history_is_told_as_a_gap(url: str) -> None:
    with (
        contextlib.closing(open_engine(url, OpenOptions())) as engine,
        engine.changes(ALL, engine.position()) as reader,
    ):
        record = b"x" * 8_000
        engine.commit(Batch(puts={encode(number): record for number in range(2_100)}))
        assert [change.kind for change in reader.read(60)] == ["gap"]
        engine.commit(Batch(puts={encode("a"): b"\x80\x04N."}))
        assert [change.key for change in reader.read(60)] == [encode("a")]


def test_value_that_is_too_large_for_the_history_is_read_when_it_is_wanted(url: str) -> None:
    with coshelf.open(url) as shelf, shelf.watch(timeout=300) as watch:
        shelf["a"] = b"x" * 100_000
        assert next(watch).value == b"x" * 100_000
    with (
        contextlib.closing(open_engine(url, OpenOptions())) as engine,
        engine.changes(ALL, engine.position()) as reader,
    ):
        engine.commit(Batch(puts={encode("a"): b"x" * 8_193, encode("b"): b"x" * 8_000}))
        assert [change.record is None for change in reader.read(60)] == [True, False]


def test_rows_of_coshelf_do_not_wake_watchers_or_fill_the_history(url: str, steady: Server) -> None:
    with contextlib.closing(open_engine(url, OpenOptions())) as engine, contextlib.closing(steady.client) as client:
        position = engine.position()
        for number in range(5):
            engine.commit(Batch(puts={b"\x06" + bytes([number]): b"row"}))
        assert engine.position() == position
        assert client.xlen(history_of(url)) == 1


def test_watching_needs_no_right_to_write_entries(url: str) -> None:
    with coshelf.open(url) as shelf, coshelf.open(url, "r") as reader, reader.watch(timeout=300) as watch:
        shelf["a"] = 1
        assert next(watch).value == 1


@pytest.mark.long
def test_replica_says_that_changes_are_told_by_its_primary(tmp_path: Path) -> None:
    with replicated(tmp_path) as (primary, replica):
        with coshelf.open(primary.url) as shelf:
            shelf["a"] = 1
        wait_for_replica(primary, replica)
        with coshelf.open(replica.url, "r") as shelf:
            assert shelf.capabilities.changes is None
            with pytest.raises(Unsupported):
                shelf.watch()


# --- several buckets -------------------------------------------------------------------------------------------------


def test_changes_of_all_buckets_are_told_and_resumed_from_any(url: str) -> None:
    with coshelf.open(f"{url}?buckets=5") as shelf:
        begin = shelf.version
        for number in range(40):
            shelf["k", number % 8] = number
        with shelf.watch(since=begin, timeout=300) as watch:
            changes = [next(watch) for _ in range(40)]
        assert sorted(change.value for change in changes) == list(range(40))
        for key in range(8):  # in order within a bucket, and so for each key
            values = [change.value for change in changes if change.key == ("k", key)]
            assert values == list(range(key, 40, 8))
        for at in random.Random(5).sample(range(40), 6):
            with shelf.watch(since=changes[at].version, timeout=300) as watch:
                rest: list[Any] = [next(watch).value for _ in range(39 - at)]
                assert sorted(rest) == sorted(change.value for change in changes[at + 1 :])
                assert watch.next(0) is None


def test_who_comes_too_late_to_several_buckets_is_told_one_gap(url: str, steady: Server) -> None:
    with coshelf.open(f"{url}?buckets=5") as shelf, contextlib.closing(steady.client) as client:
        version = shelf.version
        name = url.rpartition("/")[2]
        client.delete(*(f"coshelf:{{{name}/{at}}}:history" for at in range(5)))
        shelf["a"] = 1
        with shelf.watch(since=version, timeout=300) as watch:
            assert next(watch).kind == "gap"
            assert watch.next(0) is None
