"""Entries that expire on PostgreSQL: the column, the server's clock, and the removal of rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from postgresql import MovedClock, Postgresql
from tcp_proxy import TcpProxy

import coshelf
from coshelf.system import clock as system_clock
from coshelf.values.expiry import time_of

Shelf = coshelf.Shelf[Any, Any]


@pytest.fixture
def clock(postgresql: Postgresql) -> Iterator[MovedClock]:
    with MovedClock(postgresql) as clock:
        yield clock


@pytest.fixture
def shelf(postgresql: Postgresql, clock: MovedClock) -> Iterator[Shelf]:
    with coshelf.open(postgresql.moved_url()) as shelf:
        yield shelf


@contextmanager
def admin(server: Postgresql) -> Iterator[Any]:
    import psycopg

    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        yield connection


def rows(server: Postgresql, shelf: Shelf) -> list[tuple[bytes, int | None, bytes]]:
    """Key, time and record of all rows in the table, whether or not they have expired."""
    number = shelf._handle.engine._shelf.number  # type: ignore[attr-defined]
    with admin(server) as connection:
        found: list[tuple[bytes, int | None, bytes]] = connection.execute(
            "SELECT key, expires, record FROM moved.coshelf_entries WHERE shelf = %s ORDER BY key", (number,)
        ).fetchall()
    return found


def test_column_has_the_time_of_the_record(shelf: Shelf, clock: MovedClock, postgresql: Postgresql) -> None:
    shelf.set("set", 1, expire=1)
    shelf.update(dict.fromkeys(("u1", "u2"), 1), expire=2)
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
    shelf.update({"u2": 2})
    found = rows(postgresql, shelf)
    seconds = {key[1:].decode(): None if at is None else (at - clock.now()) // 1_000_000 for key, at, _ in found}
    assert seconds == {
        "add": 3,
        "again": None,
        "modify": 5,
        "set": 1,
        "t1": 6,
        "t2": None,
        "touch": 4,
        "u1": 2,
        "u2": None,
    }
    assert [at for _, at, _ in found] == [time_of(record) for _, _, record in found]


def test_server_decides_whatever_the_clock_of_the_client_shows(
    postgresql: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgresql.url()
    with coshelf.open(url) as shelf:
        shelf.set("a", 1, expire=600)
        before = shelf.expires("a")
        real = system_clock.now
        monkeypatch.setattr(system_clock, "now", lambda: real() + 10**10)
        with coshelf.open(url) as other:
            assert (shelf["a"], other["a"], "a" in other, len(other)) == (1, 1, True, 1)
            with other.transaction() as transaction:
                assert dict(transaction) == {"a": 1}
            with other.snapshot() as snapshot:
                assert dict(snapshot) == {"a": 1}
            other.set("b", 2, expire=600)
            assert shelf.touch("a", expire=600)
            times = shelf.expires("a"), other.expires("b")
        assert all(before <= time < before + 590 for time in times)


def test_time_passes_on_a_real_clock(postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.url()) as shelf:
        began = time.monotonic()
        shelf.set("a", 1, expire=0.05)
        while "a" in shelf:
            assert time.monotonic() < began + 300, "the entry does not expire"
        assert time.monotonic() - began > 0.04
        assert (len(shelf), list(shelf), shelf.get("a"), shelf.expire()) == (0, [], None, 1)


def test_expire_removes_all_rows_in_steps(shelf: Shelf, clock: MovedClock, postgresql: Postgresql) -> None:
    shelf.update(dict.fromkeys(range(2_500), 1), expire=60)
    shelf.update({"stays": 1, "later": 1})
    shelf.touch("later", expire=61)
    assert shelf.expire() == 0
    clock.pass_by(60)
    assert (len(shelf), len(rows(postgresql, shelf))) == (2, 2_502)
    assert shelf.expire() == 2_500
    assert [key for key, _, _ in rows(postgresql, shelf)] == [b"0later", b"0stays"]


def test_writers_remove_some_of_what_has_expired(shelf: Shelf, clock: MovedClock, postgresql: Postgresql) -> None:
    shelf.update(dict.fromkeys(range(10), 1), expire=60)
    clock.pass_by(60)
    for number in range(32):
        assert (0 in [at for _, at, _ in rows(postgresql, shelf)]) is False
        shelf.set(f"new{number}", 1, expire=60)
    assert len(rows(postgresql, shelf)) == 32


def test_rows_of_other_shelves_stay(shelf: Shelf, clock: MovedClock, postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.moved_url()) as other:
        for each in (shelf, other):
            each.set("a", 1, expire=60)
        clock.pass_by(60)
        assert shelf.expire() == 1
        assert (len(rows(postgresql, shelf)), len(rows(postgresql, other))) == (0, 1)


def test_long_scan_shows_one_instant_of_the_clock(shelf: Shelf, clock: MovedClock) -> None:
    shelf.update({number: number for number in range(3_000)}, expire=60)
    shelf.update({number: number for number in range(0, 3_000, 3)}, expire=120)
    clock.pass_by(60)
    items = iter(shelf.items())
    keys = iter(shelf)
    first = [next(items), (next(keys),) * 2]
    clock.pass_by(60)
    assert [*first[:1], *items] == [(number, number) for number in range(0, 3_000, 3)]
    assert [first[1][0], *keys] == list(range(0, 3_000, 3))
    assert (len(shelf), list(shelf)) == (0, [])


def test_entry_that_expires_before_the_commit_is_a_conflict(shelf: Shelf, clock: MovedClock) -> None:
    shelf.update({"a": 1, "b": 1}, expire=60)
    for write in ("a", "c"):
        with pytest.raises(coshelf.Conflict), shelf.transaction() as transaction:
            transaction[write] = transaction["a"] + transaction["b"]
            clock.pass_by(60)
        shelf.update({"a": 1, "b": 1}, expire=60)
    attempts: list[int] = []

    def count(value: int) -> int:
        attempts.append(value)
        if len(attempts) == 1:
            clock.pass_by(60)
        return value + 1

    assert shelf.modify("a", count, default=10) == 11
    assert (attempts, shelf.expires("a")) == ([1, 10], None)


def test_expired_row_is_overwritten_by_one_who_found_no_entry(shelf: Shelf, clock: MovedClock) -> None:
    shelf.update({"a": 1, "b": 1, "c": 1}, expire=60)
    clock.pass_by(60)
    assert shelf.add("a", 2)
    assert shelf.setdefault("b", 2) == 2
    with shelf.transaction() as transaction:
        assert "c" not in transaction
        transaction["c"] = 2
        transaction["d"] = 2
    assert dict(shelf) == {"a": 2, "b": 2, "c": 2, "d": 2}


def test_times_cost_no_requests(postgresql: Postgresql) -> None:
    with TcpProxy(postgresql.port) as proxy:
        url = postgresql.url().replace(str(postgresql.port), str(proxy.port))
        with coshelf.open(url) as shelf:
            hundred = {f"k{number:03}": number for number in range(99)}
            costs = {
                "set": (lambda: shelf.set("k", 1, expire=600), 1),
                "update": (lambda: shelf.update(hundred, expire=600), 2),  # the second removes what has expired
                "get": (lambda: shelf["k"], 1),
                "len": (lambda: len(shelf), 1),
                "keys": (lambda: [*iter(shelf)], 1),
                "items": (lambda: dict(shelf.items()), 1),
                "get_many": (lambda: shelf.get_many(hundred), 1),
                "touch": (lambda: shelf.touch("k", expire=60), 2),
                "add": (lambda: shelf.add("k", 1, expire=60), 1),
                "expire": (shelf.expire, 1),
            }
            for operation, _ in costs.values():  # statements are prepared, and the clock is asked
                operation()
            for name, (operation, most) in costs.items():
                shelf._handle.unswept = 0
                before = proxy.requests
                operation()
                assert 0 < proxy.requests - before <= most, name
