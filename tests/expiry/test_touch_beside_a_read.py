"""An entry that gets a later time while it is read, before its old time passes, always exists."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import coshelf
from coshelf.system import clock as system_clock
from coshelf.testing.moving_clock import MovingClock

Shelf = coshelf.Shelf[Any, Any]

READS: dict[str, Callable[[Shelf], object]] = {
    "[]": lambda shelf: shelf["a"],
    "get": lambda shelf: shelf.get("a"),
    "get with copy": lambda shelf: shelf.get("a", copy=True),
    "get_many": lambda shelf: shelf.get_many(["missing", "a"])["a"],
    "in": lambda shelf: "a" in shelf and 1,
    "in tagged": lambda shelf: "a" in shelf.tagged("t") and 1,
    "expires": lambda shelf: shelf.expires("a") and 1,
    "record": lambda shelf: shelf.record("a").decode(),
    "setdefault": lambda shelf: shelf.setdefault("a", 2),
    "wait": lambda shelf: shelf.wait("a", timeout=0),
    "add": lambda shelf: 2 if shelf.add("a", 2) else 1,
}


@pytest.mark.parametrize("read", READS)
def test_entry_that_is_touched_between_record_and_clock_is_found(
    read: str, target: Any, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with coshelf.open(target) as shelf:
        tags = ("t",) if shelf.capabilities.tags else ()
        if read == "in tagged" and not tags:
            pytest.skip("this engine has no tags")
        shelf.set("a", 1, expire=60, tags=tags)
        touches = [lambda: shelf.touch("a", expire=600)]

        reader = threading.get_ident()  # threads of coshelf's look at the clock, too

        def now() -> int:
            if touches and threading.get_ident() == reader:
                assert touches.pop()()
                clock.pass_by(61)
            return clock.now()

        monkeypatch.setattr(system_clock, "now", now)
        assert READS[read](shelf) == 1
        assert not touches or read in ("setdefault", "add"), "the clock was not read"


def test_entry_that_is_replaced_between_record_and_clock_is_the_new_one(
    target: Any, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with coshelf.open(target) as shelf:
        shelf.set("a", 1, expire=60)
        writes = [lambda: shelf.set("a", 2)]

        reader = threading.get_ident()

        def now() -> int:
            if writes and threading.get_ident() == reader:
                writes.pop()()
                clock.pass_by(61)
            return clock.now()

        monkeypatch.setattr(system_clock, "now", now)
        assert shelf.get("a") == 2


def test_part_of_a_transaction_has_the_time_of_the_whole(shelf: Shelf, clock: MovingClock) -> None:
    shelf.set("a", 1, expire=60)
    with shelf.transaction() as transaction:
        assert shelf.setdefault("a", 2) == 1  # a part, which looks at the clock first
        with shelf.transaction() as part:
            assert "a" in part
        clock.pass_by(61)
        assert transaction["a"] == 1
        with shelf.transaction() as part:
            assert "a" in part
    assert "a" not in shelf
