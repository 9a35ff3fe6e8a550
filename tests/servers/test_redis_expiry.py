"""Entries that expire on Redis: the sorted set of times, the server's clock, and the removal of entries."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis_clock import MovingRedisClock
from test_redis_engine import Counted
from valkey_servers import Server, eventually, single

import coshelf
from coshelf.keys import encode
from coshelf.system import clock as system_clock
from coshelf.testing.moving_clock import MovingClock
from coshelf.values.expiry import time_of

Shelf = coshelf.Shelf[Any, Any]


@pytest.fixture
def clock() -> Iterator[MovingClock]:
    with MovingRedisClock() as clock:
        yield clock


@pytest.fixture
def shelf(server: str, clock: MovingClock) -> Iterator[Shelf]:
    with coshelf.open(server) as shelf:
        yield shelf


@pytest.fixture
def spread(cluster: str, clock: MovingClock) -> Iterator[Shelf]:
    with coshelf.open(f"{cluster}?buckets=16") as shelf:
        yield shelf


class Stored:
    """What the server has of a shelf, whether or not it has expired."""

    def __init__(self, server: Server, url: str) -> None:
        self.client = server.client
        self._base = b"coshelf:{" + url.rpartition("/")[2].encode() + b"}:"

    def records(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = self.client.hgetall(self._base + b"records")
        return found

    def keys(self) -> list[bytes]:
        found: list[bytes] = self.client.zrange(self._base + b"keys", 0, -1)
        return found

    def evict(self, *names: str) -> None:
        self.client.delete(*(self._base + name.encode() for name in names))

    def times(self) -> dict[bytes, int]:
        return {key: int(at) for key, at in self.client.zrange(self._base + b"times", 0, -1, withscores=True)}


@pytest.fixture
def stored(server_base: Server, server: str) -> Stored:
    return Stored(server_base, server)


# --- what is stored --------------------------------------------------------------------------------------------------


def test_sorted_set_has_the_times_of_the_records(shelf: Shelf, clock: MovingClock, stored: Stored) -> None:
    shelf.set("set", 1, expire=1)
    shelf.update(dict.fromkeys(("u1", "u2", "u3"), 1), expire=2)
    shelf.add("add", 1, expire=3)
    shelf["touch"] = 1
    shelf.touch("touch", expire=4)
    shelf.set("modify", 1, expire=5)
    shelf.modify("modify", lambda value: value + 1)
    with shelf.transaction() as transaction:
        transaction.set("t1", 1, expire=6)
        transaction["t2"] = 1
    shelf.set("again", 1, expire=60)
    shelf["again"] = 2
    shelf.update({"u2": 2, "other": 1})
    shelf.pop("u3")
    shelf.set("permanent", 1, expire=60)
    shelf.touch("permanent", expire=None)
    seconds = {key[1:].decode(): (at - clock.now()) // 1_000_000 for key, at in stored.times().items()}
    assert seconds == {"add": 3, "modify": 5, "set": 1, "t1": 6, "touch": 4, "u1": 2}
    times = {key: time_of(record) for key, record in stored.records().items()}
    assert {key: at for key, at in times.items() if at is not None} == stored.times()
    assert sorted(times) == stored.keys()
    shelf.sub("part").set("a", 1, expire=60)
    shelf.sub("part").clear()
    assert len(stored.times()) == 6
    shelf.clear()
    assert (stored.records(), stored.keys(), stored.times()) == ({}, [], {})


def test_large_updates_have_all_their_times(shelf: Shelf, clock: MovingClock, stored: Stored) -> None:
    shelf.update(dict.fromkeys(range(1_234), 1), expire=60)
    assert len(stored.times()) == 1_234
    shelf.update(dict.fromkeys(range(0, 1_234, 2), 2))
    assert stored.times().keys() == {encode(number) for number in range(1, 1_234, 2)}
    clock.pass_by(60)
    assert len(shelf) == 617
    assert set(shelf.values()) == {2}


# --- the clock of the server -----------------------------------------------------------------------------------------


def test_server_decides_whatever_the_clock_of_the_client_shows(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with coshelf.open(server) as shelf:
        shelf.set("a", 1, expire=600)
        before = shelf.expires("a")
        real = system_clock.now
        monkeypatch.setattr(system_clock, "now", lambda: real() + 10**10)
        with coshelf.open(server) as other:
            assert (shelf["a"], other["a"], "a" in other, len(other)) == (1, 1, True, 1)
            with other.transaction() as transaction:
                assert dict(transaction) == {"a": 1}
            other.set("b", 2, expire=600)
            assert shelf.touch("a", expire=600)
            times = shelf.expires("a"), other.expires("b")
        assert all(before - 1 <= time < before + 590 for time in times)


def test_time_passes_on_a_real_clock(server: str) -> None:
    with coshelf.open(server) as shelf:
        began = time.monotonic()
        shelf.set("a", 1, expire=0.05)
        while "a" in shelf:
            assert time.monotonic() < began + 300, "the entry does not expire"
        assert (len(shelf), list(shelf), dict(shelf.items()), shelf.get("a")) == (0, [], {}, None)
        assert shelf.add("a", 2)
        assert (len(shelf), shelf["a"], shelf.expire()) == (1, 2, 0)


def test_process_that_has_met_no_times_sees_what_expires(server: str, clock: MovingClock) -> None:
    reads: list[Callable[[Shelf], Any]] = [
        lambda shelf: shelf.get("a"),
        lambda shelf: shelf.get_many(["a", "b"]),
        list,
        lambda shelf: list(shelf.items()),
        len,
        lambda shelf: len(shelf.keys(prefix="a")),
        lambda shelf: "a" in shelf,
        lambda shelf: shelf.expires("a") if "a" in shelf else None,
    ]
    with coshelf.open(server) as writer:
        writer.set("a", 1, expire=60)
        writer["b"] = 2
    until = clock.now() / 1_000_000 + 60
    there = [1, {"a": 1, "b": 2}, ["a", "b"], [("a", 1), ("b", 2)], 2, 1, True, until]
    gone = [None, {"b": 2}, ["b"], [("b", 2)], 1, 0, False, None]
    for expected in (there, gone):
        for read, result in zip(reads, expected, strict=True):
            with coshelf.open(server, "r") as shelf:
                assert read(shelf) == result
        clock.pass_by(60)


def test_entry_that_expires_before_the_commit_is_a_conflict(shelf: Shelf, clock: MovingClock) -> None:
    for write in ("a", "c"):
        shelf.update({"a": 1, "b": 1}, expire=60)
        with pytest.raises(coshelf.Conflict), shelf.transaction() as transaction:
            transaction[write] = transaction["a"] + transaction["b"]
            clock.pass_by(60)
    shelf.set("a", 1, expire=60)
    attempts: list[int] = []

    def count(value: int) -> int:
        attempts.append(value)
        if len(attempts) == 1:
            clock.pass_by(60)
        return value + 1

    assert shelf.modify("a", count, default=10) == 11
    assert (attempts, shelf.expires("a")) == ([1, 10], None)


def test_expired_entry_is_overwritten_by_one_who_found_none(shelf: Shelf, clock: MovingClock) -> None:
    shelf.update({"a": 1, "b": 1, "c": 1}, expire=60)
    clock.pass_by(60)
    assert shelf.add("a", 2)
    assert shelf.setdefault("b", 2) == 2
    with shelf.transaction() as transaction:
        assert "c" not in transaction
        transaction["c"] = 2
    assert dict(shelf) == {"a": 2, "b": 2, "c": 2}


# --- scans and counts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["shelf", "spread"])
def test_scans_pass_over_whole_pages_of_expired_entries(
    kind: str, request: pytest.FixtureRequest, clock: MovingClock
) -> None:
    shelf: Shelf = request.getfixturevalue(kind)
    numbers = range(0, 900, 1 if kind == "shelf" else 3)
    living = [number for number in numbers if number % 300 in (3, 297) or 600 < number < 615]
    for number in numbers:
        shelf.set(number, number, expire=600 if number in living else 60)
    clock.pass_by(60)
    assert list(shelf) == living
    assert list(shelf.keys(reverse=True)) == living[::-1]
    assert list(shelf.items()) == [(number, number) for number in living]
    assert list(shelf.values(reverse=True)) == living[::-1]
    assert next(iter(shelf.items(start=400))) == (min(number for number in living if number >= 400),) * 2
    assert len(shelf) == len(living)
    assert len(shelf.keys(start=290, stop=610)) == len([n for n in living if 290 <= n < 610])
    clock.pass_by(540)
    assert (list(shelf), list(shelf.items()), len(shelf), bool(shelf)) == ([], [], 0, False)


def test_range_is_counted_by_the_bytes_of_the_keys(shelf: Shelf, clock: MovingClock) -> None:
    chance = random.Random(11)
    keys = sorted(
        {"".join(chance.choices("aAbBzZ_é\x01\u20ac\U0001f600", k=chance.randrange(1, 5))) for _ in range(300)}
    )
    expiring = set(chance.sample(keys, 200))
    shelf.update(dict.fromkeys(keys, 1))
    shelf.update(dict.fromkeys(expiring, 1), expire=60)
    clock.pass_by(60)
    order = sorted(keys, key=encode)
    for _ in range(60):
        start, stop = sorted(chance.sample(order, 2), key=encode)
        wanted = [key for key in order[order.index(start) : order.index(stop)] if key not in expiring]
        assert len(shelf.keys(start=start, stop=stop)) == len(wanted)
    assert len(shelf.keys(prefix="a")) == len([key for key in keys if key[0] == "a" and key not in expiring])


# --- removal ---------------------------------------------------------------------------------------------------------


def test_expire_removes_everything_in_steps(shelf: Shelf, clock: MovingClock, stored: Stored) -> None:
    shelf.update(dict.fromkeys(range(2_500), 1), expire=60)
    shelf.update({"stays": 1, "later": 1})
    shelf.touch("later", expire=61)
    assert shelf.expire() == 0
    clock.pass_by(60)
    assert (len(shelf), len(stored.records())) == (2, 2_502)
    assert shelf._handle.engine.remove_expired(30) == 30
    assert len(stored.records()) == 2_472
    assert shelf.expire() == 2_470
    assert sorted(stored.records()) == [b"0later", b"0stays"]
    assert (stored.keys(), list(stored.times())) == ([b"0later", b"0stays"], [b"0later"])


def test_expire_goes_through_all_buckets(spread: Shelf, clock: MovingClock) -> None:
    for number in range(100):
        spread.set(number, 1, expire=60)
    clock.pass_by(60)
    assert (len(spread), spread.expire(), spread.expire()) == (0, 100, 0)


def test_each_commit_removes_a_bounded_number(shelf: Shelf, clock: MovingClock, stored: Stored) -> None:
    shelf.update(dict.fromkeys(range(100), 1), expire=60)
    clock.pass_by(60)
    shelf["a"] = 1
    assert len(stored.records()) == 79
    shelf.update({"b": 1, "c": 1}, expire=60)
    assert len(stored.records()) == 57
    del shelf["a"]
    assert len(stored.records()) == 34
    assert (len(shelf), sorted(stored.records()) == stored.keys()) == (2, True)


def test_commit_that_fails_removes_nothing(shelf: Shelf, clock: MovingClock, stored: Stored, server: str) -> None:
    shelf.update(dict.fromkeys(range(10), 1), expire=60)
    shelf["a"] = 1
    with pytest.raises(coshelf.Conflict), shelf.transaction() as transaction, coshelf.open(server) as other:
        transaction["a"] += 1
        other["a"] = 5
        clock.pass_by(60)
    assert len(stored.records()) == 11


def test_reading_writes_nothing(shelf: Shelf, clock: MovingClock, tmp_path: Path) -> None:
    server = single(tmp_path)
    try:
        with coshelf.open(server.url) as own:
            own.update({number: number for number in range(300)}, expire=60)
            clock.pass_by(60)
            client = server.client
            before = client.info("persistence")["rdb_changes_since_last_save"]
            assert (len(own), list(own), dict(own.items()), own.get(1), own.get_many([1, 2])) == (0, [], {}, None, {})
            assert client.info("persistence")["rdb_changes_since_last_save"] == before
    finally:
        server.kill()


def test_times_without_entries_do_no_harm(shelf: Shelf, clock: MovingClock, stored: Stored) -> None:
    shelf.update({"a": 1, "b": 1}, expire=60)
    stored.evict("records", "keys")
    clock.pass_by(60)
    assert (len(shelf), list(shelf), shelf.get("a")) == (0, [], None)
    shelf["c"] = 1
    assert (dict(shelf), stored.times()) == ({"c": 1}, {})


# --- replicas, users, requests ---------------------------------------------------------------------------------------


def test_replica_has_what_the_primary_has_and_hides_the_same(tmp_path: Path, clock: MovingClock) -> None:
    primary = single(tmp_path / "primary", "--repl-diskless-sync-delay", "0")
    replica = single(tmp_path / "replica", "--replicaof", "127.0.0.1", str(primary.port))
    try:
        eventually("link", lambda: replica.client.info("replication")["master_link_status"] == "up")
        with coshelf.open(f"{primary.url}/0/a") as shelf, coshelf.open(f"{replica.url}/0/a", "r") as other:
            shelf.update({number: number for number in range(100)}, expire=60)
            shelf.update({"a": 1, "b": 2})
            clock.pass_by(60)
            shelf["a"] = 2  # removes some
            both = [Stored(server, "/a") for server in (primary, replica)]
            eventually("same records", lambda: both[0].records() == both[1].records())
            eventually("same times", lambda: both[0].times() == both[1].times())
            assert len(both[1].times()) == 78
            assert dict(other.items()) == {"a": 2, "b": 2}
            assert (list(other), len(other), other.get(99)) == (["a", "b"], 2, None)
    finally:
        replica.kill()
        primary.kill()


def test_flag_r_needs_the_right_to_ask_for_the_time(server: str, shelf: Shelf, server_base: Server) -> None:
    shelf.set("a", 1, expire=60)
    user = f"timed{os.getpid()}"
    rights = "~coshelf:* -@all +@read +@connection +evalsha +eval +time"
    server_base.client.execute_command("ACL", "SETUSER", user, "on", ">secret", *rights.split())
    with coshelf.open(server.replace("redis://", f"redis://{user}:secret@"), "r") as reader:
        assert (reader["a"], len(reader), list(reader), dict(reader.items())) == (1, 1, ["a"], {"a": 1})


def test_times_cost_no_requests(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with coshelf.open(server) as shelf:
        hundred = {f"k{number:03}": number for number in range(98)}
        costs: dict[str, tuple[Callable[[], Any], int]] = {
            "set": (lambda: shelf.set("k", 1, expire=600), 1),
            "update": (lambda: shelf.update(hundred, expire=600), 1),
            "get": (lambda: shelf["k"], 1),
            "len": (lambda: len(shelf), 1),
            "keys": (lambda: [*iter(shelf)], 1),
            "items": (lambda: dict(shelf.items()), 1),
            "get_many": (lambda: shelf.get_many(hundred), 1),
            "touch": (lambda: shelf.touch("k", expire=60), 2),
            "incr": (lambda: shelf.incr("k", expire=60), 3),
            "add": (lambda: shelf.add("k", 1, expire=60), 1),
            "expire": (shelf.expire, 1),
        }
        for operation, _ in costs.values():  # the server knows the scripts, and the clock is asked
            operation()
        counted = Counted(monkeypatch)
        for name, (operation, most) in costs.items():
            assert 0 < counted.of(operation) <= most, name
