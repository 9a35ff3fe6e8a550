"""Batches of any size: one commit for all who look, and all or nothing whatever is killed when."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from insides import base_row, commits_to_base, flush_all, last_number, waiting
from support import Crew, Worker

import coshelf
from coshelf import keys

SCRIPTS = Path(__file__).parent / "scripts" / "batches"

SIZES = [1, 1000, 1001, 20_000]


@pytest.mark.parametrize("size", SIZES)
def test_each_is_one_commit(path: str, size: int) -> None:
    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf["first"] = 1
        flush_all(shelf)
        before = last_number(shelf)
        shelf.update({("key", n): n for n in range(size)})
        assert last_number(shelf) - before <= 2  # what follows may be the emptying of the delta
        assert len(shelf) == size + 1
        engine: Any = shelf._handle.engine
        assert len({engine.get(keys.encode(("key", n))).version for n in range(size)}) == 1


def test_the_limits_of_the_delta_are_where_they_are_said_to_be(path: str) -> None:
    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf["first"] = 1
        flush_all(shelf)
        for batch, large in [
            ({n: n for n in range(1000)}, False),
            ({n: n for n in range(1001)}, True),
            ({"large": bytes(1_000_000)}, False),
            ({"larger": bytes((1 << 20) + 1)}, True),
            ({("many", n): bytes(30_000) for n in range(40)}, True),
        ]:
            before = commits_to_base(path)
            shelf.update(batch)
            assert (commits_to_base(path) > before) == large
            assert bool(waiting(shelf)) == (not large)
            shelf.sync()


def test_one_that_goes_to_the_base_takes_everything_with_it_that_waits(path: str) -> None:
    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf.update(a=1, gone=1, over=1)
        flush_all(shelf)
        shelf["a"] = 2
        shelf["b"] = 2
        shelf["over"] = 2
        del shelf["gone"]
        before = commits_to_base(path)
        shelf.update({("many", n): n for n in range(1001)} | {"over": 3})
        assert commits_to_base(path) == before + 1
        assert not waiting(shelf)
        assert base_row(shelf).sequence >= last_number(shelf) - 1
        assert (shelf["a"], shelf["b"], shelf["over"], len(shelf)) == (2, 2, 3, 1004)


def test_emptying_empties_both_parts(path: str) -> None:
    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf.update({n: n for n in range(50)})
        flush_all(shelf)
        shelf["waiting"] = 1
        del shelf[3]
        shelf["x" * 1000] = 1
        shelf.clear()
        assert len(shelf) == 0 and dict(shelf) == {} and "waiting" not in shelf
        shelf["new"] = 1
        assert dict(shelf) == {"new": 1}
        with coshelf.open(path, "n") as emptied:
            assert dict(shelf) == dict(emptied) == {}
        shelf["new"] = 2
        sub = shelf.sub("part")
        sub.update(a=1, b=2)
        sub.clear()
        assert dict(shelf) == {"new": 2}


READER = SCRIPTS / "reader.py"


@pytest.mark.parametrize("flag", ["r", "w"])
def test_no_reader_sees_a_part_of_one(crew: Crew, path: str, flag: str) -> None:
    with coshelf.open(path, flush_interval=0.002) as shelf:
        readers = crew.start_many(2, READER, path, flag)
        for turn, size in enumerate([2, 1000, 1001, 2, 5000, 2, 1000, 2, 1001, 2] * 2):
            with shelf.transaction() as t:
                t.clear() if turn % 3 else [t.pop(key) for key in list(t.keys(prefix=("key",)))]
                t.update({("key", n): (turn, "x") for n in range(size)}, size=size, turn=turn)
            shelf.update({("key", n): (turn, "y" * 700) for n in range(size)})
            shelf.update({("key", n): ("again", turn) for n in range(size)}, turn="again")
        shelf.update({("key", n): ("end", 0) for n in range(size)}, turn="end")
        for reader in readers:
            reader.finish()


WRITER = SCRIPTS / "writer.py"
WAITING = {("old", n): n for n in range(9)} | {"waiting": 1}
AFTER: dict[str, dict[Any, Any]] = {
    "many": WAITING | {("new", n): n for n in range(1500)},
    "large": WAITING | {("new", 0): bytes(2_000_000), ("new", 1): 1, ("old", 0): "over"},
    "clear": {},
    "small": WAITING | {("new", n): n for n in range(100)},
}
PLACES = {"direct-numbered": False, "direct-announced": False, "direct-committed": True, "empty-begun": True}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["many", "large", "clear"])
def test_killed_on_the_way_to_the_base_it_is_there_whole_or_not_at_all(
    path: str, armed: Callable[..., Worker], place: str, kind: str
) -> None:
    with coshelf.open(path, "c", timeout=60):
        pass
    armed(f"{place}=kill@1000", WRITER, path, place, kind).finish(-signal.SIGKILL)
    with coshelf.open(path, timeout=60) as shelf:
        assert shelf.copy() == (AFTER[kind] if PLACES[place] else WAITING)
        assert len(shelf) == len(AFTER[kind] if PLACES[place] else WAITING)
        shelf["more"] = 1
        shelf.sync()
        assert shelf["more"] == 1


@pytest.mark.parametrize("place", PLACES)
def test_who_has_it_open_meanwhile_sees_it_whole_or_not_at_all(
    path: str, armed: Callable[..., Worker], place: str
) -> None:
    """And is the next to commit, right behind the death."""
    with coshelf.open(path, timeout=60, flush_interval=1000) as shelf:
        armed(f"{place}=kill@1000", WRITER, path, place, "many").finish(-signal.SIGKILL)
        seen = shelf.copy()
        assert seen in (WAITING, AFTER["many"])
        shelf["more"] = 1
        assert shelf.copy() == (AFTER["many"] if PLACES[place] else WAITING) | {"more": 1}
        shelf.sync()
        assert shelf.copy() == (AFTER["many"] if PLACES[place] else WAITING) | {"more": 1}


@pytest.mark.parametrize(("place", "there"), [("commit-applied", False), ("commit-done", True)])
def test_killed_on_the_way_to_the_delta_it_is_there_whole_or_not_at_all(
    path: str, armed: Callable[..., Worker], place: str, there: bool
) -> None:
    with coshelf.open(path, timeout=60, flush_interval=1000) as shelf:
        armed(f"{place}=kill@1000", WRITER, path, place, "small").finish(-signal.SIGKILL)
        assert shelf.copy() == (AFTER["small"] if there else WAITING)
        shelf["more"] = 1
    with coshelf.open(path, timeout=60) as shelf:
        assert shelf.copy() == (AFTER["small"] if there else WAITING) | {"more": 1}
