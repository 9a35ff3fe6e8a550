"""A blob goes when nothing names it any more, and not before; the rows about it stay true."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arrays import LARGE, blob_paths, blobs, is_whole, signed
from insides import environment_of, flush_all, until
from support import Crew, Worker, beside

import coshelf
from coshelf.engines.lmdb.environment import Environment
from coshelf.values.blobs import Body

SCRIPTS = Path(__file__).parent / "scripts" / "removal"

LENGTHS = [1, 480, 488, 489, 490, 491, 492, 493, 500, 983, 990, 3000]  # of keys, around where rows are split


@pytest.mark.parametrize("length", LENGTHS)
def test_rows_are_counted_right_whatever_the_length_of_the_key(path: str, length: int) -> None:
    key = "k" * length
    with coshelf.open(path) as shelf:
        for number in range(3):
            shelf[key] = signed(number)
            shelf[key + "2"] = signed(number)
            shelf.sync()
            assert len(shelf) == len(list(shelf)) == 2
            until(lambda: len(blobs(path)) == 2)
            assert shelf[key][0] == number
        del shelf[key]
        shelf.sync()
        assert len(shelf) == len(list(shelf)) == 1
        until(lambda: len(blobs(path)) == 1)
        assert shelf.check().ok
        shelf.compact()
        assert len(shelf) == 1 and is_whole(shelf[key + "2"])
        shelf.clear()
        assert len(shelf) == 0
        until(lambda: blobs(path) == [])
        assert shelf.check().ok
    assert beside(path) == ["a.shelf"]


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize(
    "way", ["overwritten", "deleted", "popped", "cleared", "flag n", "in a transaction", "by many"]
)
def test_what_is_not_named_any_more_goes(path: str, way: str, flushed: bool) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"], shelf["b"] = signed(1), signed(2)
        if flushed:
            shelf.sync()
        match way:
            case "overwritten":
                shelf["a"] = "small"
            case "deleted":
                del shelf["a"]
            case "popped":
                assert is_whole(shelf.pop("a"))
            case "cleared":
                shelf.clear()
            case "flag n":
                coshelf.open(path, "n").close()
            case "in a transaction":
                with shelf.transaction() as t:
                    t["a"] = signed(3)
                    t["a"] = signed(4)
                    del t["a"]
            case "by many":
                shelf.update({"a": 0} | {("pad", n): n for n in range(1001)})
        shelf.sync()
        until(lambda: len(blobs(path)) == (way not in ("cleared", "flag n")))
        if way not in ("cleared", "flag n"):
            assert is_whole(shelf["b"])
            del shelf["b"]
    assert beside(path) == ["a.shelf"]


def test_clearing_a_namespace_leaves_the_blobs_of_others(path: str) -> None:
    with coshelf.open(path) as shelf:
        sub = shelf.sub("sub")
        for number in range(4):
            sub[number], shelf[number] = signed(number), signed(number)
        sub["k" * 600] = signed(9)
        with shelf.transaction() as t:
            t.sub("sub")["new"] = signed(10)
        shelf.sync()
        until(lambda: len(blobs(path)) == 10)
        sub.clear()
        shelf.sync()
        until(lambda: len(blobs(path)) == 4)
        assert all(map(is_whole, shelf.values()))
        assert shelf.check().ok


def test_what_a_transaction_did_not_commit_goes_with_it(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = signed(1)
        with pytest.raises(ZeroDivisionError), shelf.transaction() as t:
            t["a"], t["b"] = signed(2), signed(3)
            until(lambda: len(blobs(path)) == 3)
            assert is_whole(t["b"])
            raise ZeroDivisionError
        until(lambda: len(blobs(path)) == 1)
        assert shelf["a"][0] == 1


def test_what_was_not_written_since_somebody_else_did_goes(path: str) -> None:
    with coshelf.open(path, writeback=True) as shelf:
        shelf["a"] = [signed(1)]
        shelf["a"].append(signed(2))
        with coshelf.open(path) as other:
            other["a"] = 3
        with pytest.raises(coshelf.Conflict):
            shelf.sync()
    with coshelf.open(path) as shelf:
        assert shelf["a"] == 3
    assert beside(path) == ["a.shelf"]


def test_many_arrays_in_one_update(path: str) -> None:
    array = np.zeros(LARGE, "u1")
    with coshelf.open(path) as shelf:
        shelf.update((number % 50, array) for number in range(150))
        shelf.sync()
        assert len(shelf) == 50
        until(lambda: len(blobs(path)) == 50)
        assert not shelf[0].any()
        shelf.clear()
    assert beside(path) == ["a.shelf"]


def test_a_snapshot_keeps_what_it_shows_until_it_is_closed(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["flushed"] = signed(1)
        shelf.sync()
        shelf["waiting"] = signed(2)
        with shelf.snapshot() as snapshot:
            for number in range(3, 6):
                shelf["flushed"] = shelf["waiting"] = signed(number)
                shelf.sync()
            assert (snapshot["flushed"][0], snapshot["waiting"][0]) == (1, 2)
            assert is_whole(snapshot["flushed"]) and is_whole(snapshot["waiting"])
            with pytest.raises(KeyError):
                snapshot["none"]
        until(lambda: len(blobs(path)) == 2)


def test_a_snapshot_that_ends_while_a_flush_looks_for_it_keeps_nothing(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf["a"] = signed(1)
        flush_all(shelf)
        snapshot = shelf.snapshot()
        base = environment_of(shelf).base
        look, looks = base.oldest_reader, itertools.count(1)

        def look_and_end() -> float:
            found = look()
            if next(looks) == 2:  # after this one, none follows
                snapshot.close()
            return found

        monkeypatch.setattr(base, "oldest_reader", look_and_end)
        del shelf["a"]
        flush_all(shelf)
        assert blobs(path) == []


def test_an_iteration_keeps_what_it_has_yet_to_show(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update({n: signed(n) for n in range(5)})
        items = iter(shelf.items())
        shown = [next(items)]
        shelf.clear()
        shelf.update({n: signed(n + 100) for n in range(5)})
        shelf.sync()
        shown += items
        assert [(key, array[0], is_whole(array)) for key, array in shown] == [(n, n, True) for n in range(5)]
        shelf.sync()
        until(lambda: len(blobs(path)) == 5)


def _held_elsewhere(crew: Crew, path: str, flag: str) -> Worker:
    worker = crew.start(
        SCRIPTS / "holds_a_snapshot.py",
        path,
        flag,
    )
    worker.expect("held")
    return worker


@pytest.mark.parametrize("flag", ["r", "w"])
def test_a_snapshot_of_another_process_keeps_what_it_shows(crew: Crew, path: str, flag: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = signed(1)
        shelf.sync()
        worker = _held_elsewhere(crew, path, flag)
        shelf["a"] = signed(2)
        shelf.sync()
        until(lambda: len(blobs(path)) == 2)
        worker.tell()
        worker.expect("released")
        shelf["b"] = 1
        shelf.sync()
        until(lambda: len(blobs(path)) == 1)
        worker.tell()
        worker.finish()


def test_a_snapshot_of_a_dead_process_keeps_nothing(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = signed(1)
        shelf.sync()
        _held_elsewhere(crew, path, "r").kill()
        shelf["a"] = signed(2)
        shelf.sync()
        until(lambda: len(blobs(path)) == 1)


def test_the_last_one_out_takes_along_what_waited_for_another(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = signed(1)
        shelf.sync()
        worker = _held_elsewhere(crew, path, "w")
        shelf["a"] = "small"
    until(lambda: len(blobs(path)) == 1)
    for _ in range(2):
        worker.tell()
    worker.finish()
    assert beside(path) == ["a.shelf"]


def test_reading_while_others_overwrite_never_misses_a_blob(path: str) -> None:
    with coshelf.open(path, flush_interval=0.001) as shelf:
        shelf["a"] = signed(0)
        done = threading.Event()
        failed: list[BaseException] = []

        def read() -> None:
            try:
                while not done.is_set():
                    assert is_whole(shelf["a"]) and is_whole(shelf.get_many(["a"])["a"])
                    assert all(map(is_whole, shelf.values()))
                    assert is_whole(shelf.get("a", copy=True))
            except BaseException as error:
                failed.append(error)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for number in range(60):
            shelf["a"] = signed(number)
            shelf.sync()
        done.set()
        for reader in readers:
            reader.join()
        assert not failed, failed


def test_a_commit_that_fails_leaves_no_blob(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def fail(self: Environment, blobs: Any) -> Iterator[None]:
        with self.blobs.naming(blobs):
            raise KeyboardInterrupt
        yield

    with coshelf.open(path) as shelf:
        shelf["a"] = signed(1)
        flush_all(shelf)
        with monkeypatch.context() as patch:
            patch.setattr(Environment, "naming", fail)
            with pytest.raises(KeyboardInterrupt):
                shelf["a"] = signed(2)
        assert shelf["a"][0] == 1
        del shelf["a"]
    # Whether it was committed is not known there, so it is left to who comes next.
    coshelf.open(path).close()
    assert beside(path) == ["a.shelf"]


def test_a_forked_child_opens_nothing_when_an_inherited_iteration_goes(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "inherited_iteration.py",
        path,
    )
    until(lambda: len(blobs(path)) == 1)


def test_bodies_are_kept_only_until_they_are_committed(path: str) -> None:
    """What keeps a blob from being removed must not keep it for ever."""
    with coshelf.open(path) as shelf:
        others = _bodies()  # that errors of other tests still refer to
        shelf["a"] = signed(1)
        shelf.update({"b": signed(2), "c": signed(3)})
        assert all(any(body is other for other in others) for body in _bodies())
        assert not list(environment_of(shelf).blobs._new)
    assert len(blob_paths(path)) == 3


def _bodies() -> list[Body]:
    return [found for found in gc.get_objects() if type(found) is Body]
