"""A flush that fails: nothing is lost, and no commit that took place looks as if it had failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from insides import flush_all, flush_threads, until, waiting

import coshelf
from coshelf.engines.lmdb.delta.flusher import Flusher


class Disk:
    """Fails while it is broken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broken = False
        flush = Flusher.flush_inside

        def flush_or_fail(flusher: Flusher, *, sweeps: bool = False) -> int:
            if self.broken:
                raise coshelf.StorageFull("cannot flush: no space left on the device")
            return flush(flusher, sweeps=sweeps)

        monkeypatch.setattr(Flusher, "flush_inside", flush_or_fail)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def fill(shelf: Any, expected: dict[Any, int], batches: Iterable[dict[Any, int]]) -> None:
    for new in batches:
        try:
            shelf.update(new)
        except coshelf.StorageFull:
            return
        expected |= new
    raise AssertionError("there was no end to what could wait")


def test_a_commit_that_raises_is_not_there_and_one_that_returns_is(path: str, disk: Disk) -> None:
    """When so much waits that committing has to help with flushing."""
    with coshelf.open(path, flush_interval=1000) as shelf:
        flush_all(shelf)
        disk.broken = True
        expected: dict[Any, int] = {}
        fill(shelf, expected, ({(batch, n): 1 for n in range(1000)} for batch in range(200)))
        fill(shelf, expected, ({("last", n): 1} for n in range(1001)))  # what a batch left, for a log counts rows
        assert len(expected) >= 40_000  # a log has less space for keys than a table
        for write in (
            lambda: shelf.__setitem__("one", 1),
            lambda: shelf.__delitem__((0, 0)),
            lambda: shelf.modify((0, 0), lambda value: value + 1),
        ):
            with pytest.raises(coshelf.StorageFull):
                write()
        assert shelf.copy() == expected
        disk.broken = False
        shelf["one"] = 1
        assert shelf.copy() == expected | {"one": 1}
    with coshelf.open(path, "r") as shelf:
        assert len(shelf) == len(expected) + 1


def test_sync_and_close_say_so_and_everything_is_kept(path: str, disk: Disk) -> None:
    shelf = coshelf.open(path, flush_interval=1000)
    flush_all(shelf)
    disk.broken = True
    shelf["a"] = 1
    for _ in range(2):
        with pytest.raises(coshelf.StorageFull, match="cannot flush"):
            shelf.sync()
    assert shelf["a"] == 1 and waiting(shelf)
    with pytest.raises(coshelf.StorageFull, match="cannot flush"):
        shelf.close()
    until(lambda: not flush_threads())
    disk.broken = False
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"a": 1}


def test_commit_durability_says_that_it_is_there_but_not_durable(path: str, disk: Disk) -> None:
    with coshelf.open(path, durability="commit") as shelf:
        disk.broken = True
        with pytest.raises(coshelf.StorageFull, match="all processes see it, but it could not be made durable"):
            shelf["a"] = 1
        assert shelf["a"] == 1
        disk.broken = False
        shelf["b"] = 2
        assert not waiting(shelf)


def test_reads_of_much_that_waits_go_on_without_the_flush_that_they_would_like(path: str, disk: Disk) -> None:
    with coshelf.open(path, flush_interval=1000) as shelf:
        flush_all(shelf)
        disk.broken = True
        for batch in range(3):
            shelf.update({(batch, n): n for n in range(1000)})
        assert len(shelf) == len(list(shelf)) == 3000
        with shelf.snapshot() as snapshot:
            assert snapshot[2, 999] == 999
        disk.broken = False
