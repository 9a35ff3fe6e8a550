"""The redis engine: what it sends, where it keeps things, and what it refuses."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from valkey_servers import Cluster, Server, a_name, eventually, single

import coshelf
from coshelf.contract import ABSENT, Batch, OpenOptions
from coshelf.engines import open_engine
from coshelf.engines.redis import commits
from coshelf.engines.redis.client import Client
from coshelf.errors import (
    Conflict,
    CrossShard,
    FormatTooNew,
    NotAShelf,
    ReadOnlyShelf,
    ShelfClosed,
    ShelfNotFound,
    Unsupported,
    UntrustedValue,
    ValueTooLarge,
)
from coshelf.keys import FIRST, LAST, encode


@pytest.fixture
def shelf(server: str) -> Iterator[coshelf.Shelf[Any, Any]]:
    with coshelf.open(server) as shelf:
        yield shelf


class Counted:
    """A client's sends and those that it waited for, counted where they leave."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from coshelf.engines.redis import client

        self.count = 0
        inner = client._send

        def counted(*arguments: Any) -> Any:
            self.count += 1
            return inner(*arguments)

        monkeypatch.setattr(client, "_send", counted)

    def of(self, do: Callable[[], object]) -> int:
        before = self.count
        do()
        return self.count - before


def test_round_trips_are_as_few_as_promised(shelf: coshelf.Shelf[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.update({number: number for number in range(1000)})
    list(shelf.items())  # the server knows the scripts
    counted = Counted(monkeypatch)
    assert counted.of(lambda: shelf[1]) == 1
    assert counted.of(lambda: shelf.get("missing")) == 1
    assert counted.of(lambda: shelf.__setitem__(1, 2)) == 1
    assert counted.of(lambda: shelf.update(dict.fromkeys(range(100), 1))) == 1
    assert counted.of(lambda: shelf.get_many(range(100))) == 1
    assert counted.of(lambda: len(shelf)) == 1
    assert counted.of(lambda: shelf.modify(1, lambda value: value + 1)) == 2
    assert counted.of(lambda: shelf.setdefault(1, 0)) == 1
    assert counted.of(lambda: shelf.pop(1)) == 2
    assert counted.of(lambda: next(iter(shelf.items()))) == 1
    assert counted.of(lambda: sum(1 for _ in shelf.items(start=2, stop=52))) == 1
    assert counted.of(lambda: sum(1 for _ in shelf.items())) == 10
    assert counted.of(lambda: sum(1 for _ in shelf)) == 10


def test_next_page_is_under_way_while_one_is_used(
    shelf: coshelf.Shelf[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.update({number: number for number in range(500)})
    list(shelf.items())
    counted = Counted(monkeypatch)
    walk = iter(shelf.items())
    next(walk)
    assert counted.count == 1  # who looks for one entry asks for one page
    for _ in range(100):
        next(walk)
    assert counted.count == 3  # the second page is here, the third on its way
    assert len(list(walk)) == 399


def test_scans_that_are_left_in_the_middle_leave_no_reply_behind(shelf: coshelf.Shelf[Any, Any]) -> None:
    shelf.update({number: number for number in range(500)})
    for taken in (1, 99, 100, 101, 250):
        walk = iter(shelf.items())
        for _ in range(taken):
            next(walk)
        del walk
        assert shelf[taken] == taken
    assert list(shelf) == list(range(500))


def test_entries_that_go_while_a_scan_is_under_way_do_no_harm(shelf: coshelf.Shelf[Any, Any]) -> None:
    shelf.update({number: number for number in range(500)})
    walk = iter(shelf.items())
    next(walk)
    shelf.clear()
    shelf[1000] = 1
    assert [key for key, _ in walk][99:] == [1000]


# --- what lies where -------------------------------------------------------------------------------------------------


def test_all_keys_of_a_shelf_lie_in_one_slot_and_bear_its_name(
    shelf: coshelf.Shelf[Any, Any], server: str, server_base: Server
) -> None:
    shelf["a"] = 1
    name = server.rpartition("/")[2].encode()
    keys = set(server_base.client.keys(b"*{" + name + b"}*"))
    base = b"coshelf:{" + name + b"}:"
    assert {key for key in keys if b"ticket" not in key} == {
        base + part for part in (b"meta", b"state", b"records", b"keys")
    }
    assert len(keys) == 5


@pytest.mark.parametrize("flag", ["c", "n", "w", "r"])
@pytest.mark.parametrize("part", ["meta", "records", "keys", "state"])
def test_what_is_not_a_shelf_is_never_changed(server: str, server_base: Server, part: str, flag: Any) -> None:
    key = b"coshelf:{" + server.rpartition("/")[2].encode() + b"}:" + part.encode()
    client = server_base.client
    client.set(key, b"somebody else's")
    with pytest.raises((NotAShelf, ShelfNotFound)):
        coshelf.open(server, flag)
    assert client.get(key) == b"somebody else's"
    client.delete(key)
    client.hset(key, b"field", b"somebody else's")
    with pytest.raises((NotAShelf, ShelfNotFound)):
        coshelf.open(server, flag)
    assert client.hgetall(key) == {b"field": b"somebody else's"}


def test_shelf_that_another_process_makes_meanwhile_is_opened(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read, opened = Client.read, []

    def read_after_another(self: Client, slot: int, *command: Any) -> Any:
        if command[0] == "EXISTS" and not opened:
            opened.append(True)
            with coshelf.open(server) as other:
                other["a"] = 1
        return read(self, slot, *command)

    monkeypatch.setattr(Client, "read", read_after_another)
    with coshelf.open(server) as shelf:
        assert opened
        assert shelf["a"] == 1


def test_shelf_of_a_later_format_is_refused(shelf: coshelf.Shelf[Any, Any], server: str, server_base: Server) -> None:
    server_base.client.hset(b"coshelf:{" + server.rpartition("/")[2].encode() + b"}:meta", b"format", 2)
    with pytest.raises(FormatTooNew):
        coshelf.open(server)


def test_shelf_that_was_wiped_takes_no_writes(shelf: coshelf.Shelf[Any, Any], server: str, server_base: Server) -> None:
    shelf["a"] = 1
    client = server_base.client
    client.delete(*client.keys(b"*{" + server.rpartition("/")[2].encode() + b"}*"))
    with pytest.raises(ShelfNotFound, match="not on its server any more"):
        shelf["b"] = 1
    with coshelf.open(server) as again:  # another one, which is not this one
        with pytest.raises(ShelfNotFound):
            shelf["b"] = 1
        assert dict(again) == {}


def test_databases_and_names_are_apart(server_base: Server) -> None:
    name = a_name()
    with (
        coshelf.open(f"{server_base.url}/0/{name}") as first,
        coshelf.open(f"{server_base.url}/1/{name}") as second,
        coshelf.open(f"{server_base.url}/{name}x") as third,
    ):
        first["a"], second["a"], third["a"] = 1, 2, 3
        assert [shelf["a"] for shelf in (first, second, third)] == [1, 2, 3]
        assert [len(shelf) for shelf in (first, second, third)] == [1, 1, 1]


def test_script_that_the_server_forgot_is_given_again(shelf: coshelf.Shelf[Any, Any], server_base: Server) -> None:
    shelf["a"] = 1
    server_base.client.script_flush()
    shelf["b"] = 2
    server_base.client.script_flush()
    assert dict(shelf.items()) == {"a": 1, "b": 2}


# --- buckets ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def spread(cluster: str) -> Iterator[coshelf.Shelf[Any, Any]]:
    with coshelf.open(f"{cluster}?buckets=16") as shelf:
        yield shelf


def test_entries_of_many_buckets_are_one_ordered_shelf(spread: coshelf.Shelf[Any, Any]) -> None:
    chance = random.Random(5)
    model = {chance.choice([number, str(number), (number, "x"), number / 7]): number for number in range(400)}
    for key, value in model.items():
        spread[key] = value
    order = sorted(model, key=encode)
    assert list(spread) == order
    assert list(reversed(spread)) == order[::-1]
    assert list(spread.items()) == [(key, model[key]) for key in order]
    assert len(spread) == len(model)
    for _ in range(10):
        start, stop = sorted(chance.sample(order, 2), key=encode)
        expected = order[order.index(start) : order.index(stop)]
        assert list(spread.keys(start=start, stop=stop)) == expected
        assert list(spread.keys(start=start, stop=stop, reverse=True)) == expected[::-1]
        assert len(spread.keys(start=start, stop=stop)) == len(expected)
    asked = chance.sample(order, 50)
    assert spread.get_many(asked) == {key: model[key] for key in asked}
    for key in asked:
        assert spread.pop(key) == model.pop(key)
    assert dict(spread) == model
    assert spread.popitem() == (max(model, key=encode), model.pop(max(model, key=encode)))
    spread.clear()
    assert dict(spread) == {}


def test_what_spans_buckets_is_refused_before_anything_is_sent(spread: coshelf.Shelf[Any, Any]) -> None:
    spread["a"] = 0
    with pytest.raises(CrossShard, match="buckets"):
        spread.update(dict.fromkeys("abcdefgh", 1))
    with pytest.raises(CrossShard), spread.transaction() as transaction:
        for name in "abcdefgh":
            transaction[name] = 1
    assert dict(spread) == {"a": 0}
    with pytest.raises(Unsupported):
        spread.snapshot()


def test_braces_keep_keys_together(spread: coshelf.Shelf[Any, Any]) -> None:
    spread.update({f"{{ann}}/{name}": 1 for name in "abcdefgh"})
    with spread.transaction() as transaction:
        transaction["{ann}/a"], transaction["{ann}/b"] = 5, transaction["{ann}/a"] + 5
    assert spread["{ann}/b"] == 6


def test_number_of_buckets_stays(spread: coshelf.Shelf[Any, Any], cluster: str) -> None:
    with coshelf.open(cluster) as again:
        again["a"] = 1
        assert again.capabilities.atomic == "shard"
    assert spread["a"] == 1
    with pytest.raises(Unsupported, match="buckets=16"):
        coshelf.open(f"{cluster}?buckets=4")


def test_flag_n_empties_all_buckets(spread: coshelf.Shelf[Any, Any], cluster: str) -> None:
    for number in range(50):
        spread[number] = number
    with coshelf.open(f"{cluster}?buckets=16", "n") as again:
        assert dict(again) == {}
        again["a"] = 1
    assert dict(spread) == {"a": 1}


def test_creation_that_was_cut_short_is_finished_by_the_next(cluster: str, cluster_base: Cluster) -> None:
    engine: Any = open_engine(f"{cluster}?buckets=4", OpenOptions())
    client, layout = engine._client, engine._layout
    client.run(layout.buckets[0].slot, ("DEL", layout.buckets[3].state))
    for at, bucket in enumerate(layout.buckets):
        if at > 1:
            client.run(bucket.slot, ("DEL", bucket.state))
    meta_slot = type(layout).of(engine._client.address.name, 1).buckets[0].slot
    client.run(meta_slot, ("HDEL", layout.meta, "ready"))
    engine.close()
    with coshelf.open(cluster) as shelf:
        for number in range(50):
            shelf[number] = number
        assert len(shelf) == 50


# --- transactions ----------------------------------------------------------------------------------------------------


def test_transaction_conflicts_at_its_end_and_transact_tries_again(server: str) -> None:
    with coshelf.open(server) as mine, coshelf.open(server) as theirs:
        mine["n"] = 0
        with pytest.raises(Conflict) as caught, mine.transaction() as transaction:
            transaction["n"] += 1
            theirs["n"] = 10
        assert caught.value.keys == (encode("n"),)
        assert mine["n"] == 10
        calls = []

        def add(transaction: Any) -> int:
            transaction["n"] += 1
            calls.append(1)
            if len(calls) < 3:
                theirs["n"] += 100
            return transaction["n"]

        assert mine.transact(add) == 211
        assert len(calls) == 3


def test_transaction_that_only_read_does_not_end_well_on_a_mixture(server: str) -> None:
    with coshelf.open(server) as mine, coshelf.open(server) as theirs:
        mine.update(a=1, b=1)
        with pytest.raises(Conflict), mine.transaction() as transaction:
            assert transaction["a"] == 1
            theirs.update(a=2, b=2)
            assert transaction["b"] == 2
        with mine.transaction() as transaction:
            assert transaction["a"] == transaction["b"]


def count_up(url: str, times: int) -> None:
    with coshelf.open(url) as shelf:
        for _ in range(times):
            shelf.transact(lambda transaction: transaction.modify("n", lambda n: n + 1, 0), attempts=1000)


def test_processes_that_count_lose_no_update(server: str) -> None:
    coshelf.open(server).close()
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=count_up, args=(server, 40)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with coshelf.open(server) as shelf:
        assert shelf["n"] == 120


# --- waiting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["server", "cluster"])
def test_waiting_wakes_at_once(request: pytest.FixtureRequest, where: str) -> None:
    url = request.getfixturevalue(where)
    with coshelf.open(url) as shelf, coshelf.open(url) as other:
        delays = []
        with ThreadPoolExecutor(1) as waiter:
            for number in range(5):
                told = waiter.submit(lambda n: (shelf.wait(n, 200), time.monotonic())[1], number)
                time.sleep(0.05)
                began = time.monotonic()
                other[number] = 1
                delays.append(told.result(200) - began)
        assert min(delays) < 2, delays  # without the bell it would be five seconds and more


def test_wait_goes_on_when_its_connection_is_lost(server: str, server_base: Server) -> None:
    with coshelf.open(server) as shelf, coshelf.open(server) as other:
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(shelf.wait("a", 300)))
        thread.start()
        client = server_base.client
        eventually("subscription", lambda: client.client_list(_type="pubsub"))
        client.client_kill_filter(_type="pubsub")
        other["a"] = 1
        thread.join(300)
        assert results == [1]


# --- the rest --------------------------------------------------------------------------------------------------------


def test_values_are_plain_data_unless_signed_or_trusted(server: str) -> None:
    class_ = pickle.PickleBuffer  # any name that is not plain data
    with coshelf.open(server, trust=True) as shelf:
        shelf["plain"], shelf["more"] = {"a": [1]}, class_
    with coshelf.open(server) as shelf:
        assert shelf["plain"] == {"a": [1]}
        with pytest.raises(UntrustedValue, match="write access to the server") as caught:
            shelf["more"]
        assert "coshelf trust" not in str(caught.value)


def test_signatures_are_bound_to_the_shelf(server_base: Server) -> None:
    secret = b"sixteen bytes or more"
    urls = [f"{server_base.url}/0/{a_name()}" for _ in range(2)]
    with coshelf.open(urls[0], sign=secret) as first, coshelf.open(urls[1], sign=secret) as second:
        first["a"] = second["a"] = slice(1)
        assert first["a"] == slice(1)
        client = server_base.client
        hashes = [b"coshelf:{" + url.rpartition("/")[2].encode() + b"}:records" for url in urls]
        client.hset(hashes[1], encode("a"), client.hget(hashes[0], encode("a")))
        with pytest.raises(UntrustedValue):
            second["a"]


def test_what_is_too_large_is_refused_before_anything_is_sent(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine: Any = open_engine(server, OpenOptions())
    engine.capabilities = replace(engine.capabilities, largest_value=1000, largest_batch=5000)
    counted = Counted(monkeypatch)
    with pytest.raises(ValueTooLarge):
        engine.commit(Batch(puts={encode("a"): bytes(1001)}))
    with pytest.raises(coshelf.BatchTooLarge):
        engine.commit(Batch(puts={encode(number): bytes(900) for number in range(6)}))
    with pytest.raises(coshelf.KeyTooLong):
        engine.commit(Batch(puts={encode("k" * (1 << 20)): b"x"}))
    assert counted.count == 0
    engine.close()


def test_shelf_survives_a_fork_and_is_pickled(shelf: coshelf.Shelf[Any, Any]) -> None:
    shelf["a"] = 1
    pid = os.fork()
    if not pid:
        try:
            shelf["child"] = shelf["a"] + 1
        finally:
            os._exit(0)
    shelf["parent"] = 1
    os.waitpid(pid, 0)
    assert dict(shelf) == {"a": 1, "child": 2, "parent": 1}
    with pickle.loads(pickle.dumps(shelf)) as again:
        assert dict(again) == dict(shelf)


def test_check_and_statistics_look_at_each_record(
    shelf: coshelf.Shelf[Any, Any], server: str, server_base: Server
) -> None:
    shelf.update({number: number for number in range(300)})
    assert shelf.check().ok
    assert shelf.stats().entries == 300
    name = b"coshelf:{" + server.rpartition("/")[2].encode() + b"}:records"
    record = server_base.client.hget(name, encode(7))
    server_base.client.hset(name, encode(7), b"\x80\x04K\x08." + record[5:])
    assert [problem.where for problem in shelf.check().problems] == ["key 7"]
    with pytest.raises(coshelf.DamagedRecord):
        shelf[7]


def test_commits_can_wait_for_replicas(cluster: str) -> None:
    with coshelf.open(f"{cluster}?wait=1") as shelf:
        assert shelf.capabilities.acknowledged == "1 replicas"
        shelf["a"] = 1
        assert shelf["a"] == 1
    with coshelf.open(f"{cluster}?wait=2&socket_timeout=2") as shelf:
        with pytest.raises(coshelf.OutcomeUnknown, match="1 of 2"):
            shelf["a"] = 2
        assert shelf["a"] == 2


def test_emptying_a_range_of_thousands_leaves_the_rest(server: str) -> None:
    engine = open_engine(server, OpenOptions())
    engine.commit(Batch(puts={encode(number): b"\x80\x04N." for number in range(5000)}))
    engine.commit(Batch(clears=((encode(10), encode(4990)),), checks={encode("a"): ABSENT}))
    assert engine.count(FIRST, LAST) == 20
    assert len(list(engine.scan(FIRST, LAST))) == 20
    engine.close()


def test_flag_r_needs_nothing_but_reading(server: str, shelf: coshelf.Shelf[Any, Any], server_base: Server) -> None:
    shelf.update({number: number for number in range(150)})
    user = f"reader{os.getpid()}"
    server_base.client.execute_command(
        *(
            "ACL",
            "SETUSER",
            user,
            "on",
            ">only looks",
            "~coshelf:*",
            "-@all",
            "+@read",
            "+@connection",
            "+evalsha",
            "+eval",
        )
    )
    url = server.replace("redis://", f"redis://{user}:only%20looks@")
    with coshelf.open(url, "r") as reader:
        assert reader[7] == 7
        assert len(list(reader.items())) == 150
        assert reader.capabilities.acknowledged == "unknown"  # INFO is forbidden
        with pytest.raises(ReadOnlyShelf):
            reader["a"] = 1


# --- servers that are not as they should be --------------------------------------------------------------------------


def test_server_that_evicts_is_refused_unless_the_url_accepts_it(tmp_path: Path) -> None:
    server = single(tmp_path, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(Unsupported, match=r"allkeys-lru.*\n.*noeviction"):
            coshelf.open(server.url)
        with coshelf.open(f"{server.url}?evicts=allowed") as shelf:
            shelf["a"] = 1
        server.client.config_set("maxmemory-policy", "noeviction")
        coshelf.open(server.url, require=["acknowledged=everysec"]).close()
        with pytest.raises(Unsupported, match="durable"):
            coshelf.open(server.url, require=["acknowledged=durable"])
    finally:
        server.kill()


def test_server_without_persistence_says_so(tmp_path: Path) -> None:
    server = Server(tmp_path, "--save", "", "--appendonly", "no")
    try:
        with coshelf.open(server.url) as shelf:
            assert not shelf.capabilities.persistent
            assert shelf.capabilities.acknowledged == "memory"
            shelf.sync()
        with pytest.raises(Unsupported):
            coshelf.open(server.url, require=["persistent"])
        server.client.config_set("appendonly", "yes")
        for fsync, says in (("always", "durable"), ("everysec", "everysec"), ("no", "machine")):
            server.client.config_set("appendfsync", fsync)
            with coshelf.open(server.url) as shelf:
                assert shelf.capabilities.acknowledged == says
    finally:
        server.kill()


def test_committer_keeps_its_promise_about_tickets() -> None:
    # The server keeps a ticket for an hour: a commit is sent again for less than half of that.
    assert "'EX', 3600" in open_script()
    assert commits._REMEMBERED <= 1800


def open_script() -> str:
    from coshelf.engines.redis import scripts

    return scripts._TEXTS[scripts.COMMIT.digest]


def test_settings_are_remembered_and_are_no_entries(server: str) -> None:
    with coshelf.open(server, codec="msgspec", compress="zstd") as shelf:
        shelf["a"] = {"b": [1, 2]}
    with coshelf.open(server) as again:
        assert again["a"] == {"b": [1, 2]}
        assert len(again) == 1
        again["c"] = "x" * 1000
        assert again["c"] == "x" * 1000


def test_connection_that_is_closed_by_another_thread_closes_the_shelf(
    shelf: coshelf.Shelf[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: Any, **__: Any) -> None:
        raise ValueError("I/O operation on closed file.")  # as redis-py, whose buffer is closed while it reads into it

    monkeypatch.setattr(Client, "run", run)
    with pytest.raises(ShelfClosed):
        shelf.get("a")
