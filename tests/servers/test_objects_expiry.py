"""Entries that expire on object stores: the index, its removal, what it costs, and the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import objects
import pytest

import coshelf
from coshelf.contract import Batch
from coshelf.engines.objects.client import Client
from coshelf.keys import FIRST, LAST
from coshelf.system import clock as system_clock
from coshelf.testing.moving_clock import MovingClock
from coshelf.values.expiry import INDEX, row_key, row_of

Shelf = coshelf.Shelf[Any, Any]
HOUR = 3_600


@pytest.fixture
def clock() -> Iterator[MovingClock]:
    with objects.MovedClock() as clock:
        yield clock


@pytest.fixture
def shelf(moto: objects.Server, clock: MovingClock) -> Iterator[Shelf]:
    with coshelf.open(moto.url()) as shelf:
        yield shelf


def index(shelf: Shelf) -> list[tuple[int, bytes]]:
    return [row_of(row) for row, _ in shelf.engine_for("test").scan(*INDEX, keys_only=True)]


def stored(shelf: Shelf) -> list[bytes]:
    """The keys of all objects of entries, whether or not they have expired."""
    engine: Any = shelf.engine_for("test")
    return [key for page in engine._listing.pages(FIRST, LAST) for key in page]


def test_times_cost_a_request_when_they_are_written(moto: objects.Server, shelf: Shelf) -> None:
    def cost(operation: Any) -> dict[str, int]:
        moto.requests.clear()
        operation()
        return {kind: moto.requests.count(kind) for kind in sorted(set(moto.requests))}

    assert cost(lambda: len(shelf.keys(prefix="a"))) == {"GET?list": 2}
    assert cost(lambda: dict(shelf.items(prefix="a"))) == {"GET?list": 1}
    assert cost(lambda: shelf.set("a", 1, expire=60)) == {"PUT": 2}
    assert cost(lambda: shelf.update({"a": 1, "b": 1, "c": 1}, expire=60)) == {"PUT": 6}
    assert cost(lambda: shelf["a"]) == {"GET": 1}
    assert cost(lambda: shelf.touch("a", expire=60)) == {"GET": 1, "PUT": 2}
    assert cost(lambda: len(shelf)) == {"GET?list": 2}
    assert cost(lambda: shelf.get_many("abc")) == {"GET": 3}
    assert cost(lambda: shelf.set("a", 1)) == {"PUT": 1}


def test_only_keys_whose_time_may_have_come_are_looked_at(
    moto: objects.Server, shelf: Shelf, clock: MovingClock
) -> None:
    shelf.update(dict.fromkeys("abc", 1), expire=60)
    shelf.update(dict.fromkeys("defghij", 1))
    shelf["a"] = 1
    clock.pass_by(60)
    for keys, expected in ((shelf.keys(), list("adefghij")), (shelf.keys(prefix="a"), ["a"])):
        moto.requests.clear()
        assert [*iter(keys)] == expected
        assert moto.requests.count("GET") <= 3
        assert [*reversed(keys)] == expected[::-1]
        assert len(keys) == len(expected)


def test_row_is_written_before_its_entry(shelf: Shelf, clock: MovingClock) -> None:
    """So whatever a killed writer leaves behind, no expired entry stays among the keys."""
    engine: Any = shelf.engine_for("test")
    with (
        mock.patch.object(type(engine), "_commit", side_effect=ConnectionResetError),
        pytest.raises(ConnectionResetError),
    ):
        shelf.set("a", 1, expire=60)
    assert ([key for _, key in index(shelf)], "a" in shelf, len(shelf)) == ([b"0a"], False, 0)
    clock.pass_by(60)
    shelf["a"] = 2
    assert (list(shelf), len(shelf), shelf["a"]) == (["a"], 1, 2)
    assert shelf.expire() == 0
    assert shelf["a"] == 2


def test_expire_removes_entries_and_their_rows(shelf: Shelf, clock: MovingClock) -> None:
    shelf.update(dict.fromkeys(range(100), 1), expire=60)
    shelf.set("later", 1, expire=61)
    shelf["stays"] = 1
    clock.pass_by(60)
    assert (len(shelf), len(stored(shelf))) == (2, 102)
    assert shelf.expire() == 100
    assert (stored(shelf), [key for _, key in index(shelf)]) == ([b"0later", b"0stays"], [b"0later"])


def test_writers_remove_some_of_what_has_expired(shelf: Shelf, clock: MovingClock) -> None:
    shelf.update(dict.fromkeys(range(10), 1), expire=60)
    clock.pass_by(60)
    for number in range(32):
        shelf.set(f"new{number}", 1, expire=60)
    assert len(stored(shelf)) == len(index(shelf)) == 32


def test_row_that_says_nothing_goes_long_after_its_time(shelf: Shelf, clock: MovingClock) -> None:
    for expire in (60, 2 * HOUR):
        shelf.set("a", 1, expire=expire)
    clock.pass_by(60)
    assert shelf.expire() == 0  # a writer that was stopped after it wrote the row may still write the entry
    assert len(index(shelf)) == 2
    clock.pass_by(HOUR)
    assert shelf.expire() == 0
    assert [key for _, key in index(shelf)] == [b"0a"]
    assert shelf["a"] == 1


def test_writer_that_comes_after_the_time_of_its_entry_writes_the_row_again(shelf: Shelf, clock: MovingClock) -> None:
    engine: Any = shelf.engine_for("test")
    commit = engine._commit

    def late(*arguments: Any) -> Any:
        clock.pass_by(HOUR)
        engine.remove_expired(None)
        return commit(*arguments)

    with mock.patch.object(engine, "_commit", late):
        shelf.set("a", 1, expire=60)
    assert ("a" in shelf, list(shelf), len(shelf)) == (False, [], 0)
    assert shelf.expire() == 1
    assert stored(shelf) == []


def test_entry_that_was_stored_again_while_it_is_removed_stays(shelf: Shelf, clock: MovingClock) -> None:
    shelf.set("a", 1, expire=60)
    clock.pass_by(60)
    engine: Any = shelf.engine_for("test")
    delete = engine._times._delete

    def store_first(*arguments: Any) -> None:
        shelf["a"] = 2
        delete(*arguments)

    with mock.patch.object(engine._times, "_delete", store_first):
        assert shelf.expire() == 0
    assert shelf["a"] == 2


@pytest.mark.parametrize("write", ["touch", "modify", "transaction"])
def test_entry_that_expires_before_it_is_written_is_missing(shelf: Shelf, clock: MovingClock, write: str) -> None:
    shelf.set("a", 1, expire=60)
    if write == "transaction":
        with pytest.raises(coshelf.Conflict), shelf.transaction() as transaction:
            transaction["a"] += 1
            clock.pass_by(60)
    elif write == "modify":
        assert shelf.modify("a", lambda value: clock.pass_by(60) or value + 1, default=10) == 11
        assert shelf.expires("a") is None
    else:
        engine: Any = shelf.engine_for("test")
        apply = engine._apply

        def late(batch: Batch) -> Any:
            clock.pass_by(60)
            return apply(batch)

        with mock.patch.object(engine, "_apply", late):
            assert not shelf.touch("a", expire=600)


def test_counters_keep_their_time_and_begin_anew(shelf: Shelf, clock: MovingClock) -> None:
    assert [shelf.incr("calls", expire=60), shelf.incr("calls", expire=600)] == [1, 2]
    assert shelf.expires("calls") == clock.now() / 1_000_000 + 60
    clock.pass_by(60)
    assert (shelf.incr("calls", 2), shelf.expires("calls"), len(shelf)) == (2, None, 1)


def test_clear_leaves_rows_for_writers_that_are_between_row_and_entry(shelf: Shelf, clock: MovingClock) -> None:
    shelf.update({"a": 1, "b": 1}, expire=60)
    engine: Any = shelf.engine_for("test")
    commit = engine._commit

    def after_a_clear(*arguments: Any) -> Any:
        with mock.patch.object(engine, "_commit", commit):
            shelf.clear()
        return commit(*arguments)

    with mock.patch.object(engine, "_commit", after_a_clear):
        shelf.set("c", 1, expire=60)
    assert list(shelf) == ["c"]
    clock.pass_by(60)
    assert (list(shelf), len(shelf)) == ([], 0)


# --- the clock -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["moto", "weed"])
def test_server_tells_its_time(kind: str, request: pytest.FixtureRequest) -> None:
    server: objects.Server = request.getfixturevalue(kind)
    with coshelf.open(server.url()) as shelf:
        engine: Any = shelf.engine_for("test")
        before = time.time()
        told = engine._client.second(f"{engine._address.root}coshelf.json")
        assert before - 2 <= told / 1_000_000 <= time.time() + 1
        assert engine._client.second("missing") is not None


@pytest.mark.parametrize("wrong", [HOUR, -HOUR])
def test_server_decides_if_the_clock_of_the_client_is_wrong(moto: objects.Server, wrong: int) -> None:
    url = moto.url()
    real = system_clock.now

    def shown() -> int:
        return real() + wrong * 1_000_000

    with coshelf.open(url) as shelf:
        shelf.set("a", 1, expire=600)
        with mock.patch.object(system_clock, "now", shown), coshelf.open(url) as other:
            assert (other["a"], list(other), len(other)) == (1, ["a"], 1)
            other.set("b", 1, expire=600)
        expires = shelf.expires("a"), shelf.expires("b")
    assert expires[0] is not None
    assert expires[1] is not None
    assert abs(expires[1] - expires[0]) < 590


def test_time_within_the_second_of_the_server_is_that_of_the_client(shelf: Shelf, clock: MovingClock) -> None:
    clock.pass_by(0.7)
    assert shelf.engine_for("test").now() == clock.now()


def test_server_without_a_time_leaves_it_to_the_client(moto: objects.Server) -> None:
    with mock.patch.object(Client, "second", return_value=None), MovingClock() as clock, coshelf.open(moto.url()) as it:
        it.set("a", 1, expire=60)
        clock.pass_by(59)
        assert it["a"] == 1
        clock.pass_by(1)
        assert "a" not in it


def test_longest_key_has_a_row(shelf: Shelf, clock: MovingClock) -> None:
    longest = "k" * (shelf.capabilities.largest_key - 1)  # type: ignore[operator]
    shelf.set(longest, 1, expire=60)
    assert index(shelf) == [row_of(row_key(clock.now() + 60_000_000, b"0" + longest.encode()))]
    clock.pass_by(60)
    assert (list(shelf), shelf.expire()) == ([], 1)
    with pytest.raises(coshelf.KeyTooLong):
        shelf.set(longest + "k", 1, expire=60)
