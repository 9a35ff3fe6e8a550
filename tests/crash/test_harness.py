"""These tests can fail: they find what is known to break, and only that."""

from __future__ import annotations

import math
import os

import lmdb
import pytest
from checker import Checker, verify
from cutting import Found, cut, places
from events import Directory, Event, Named, Said, Wrote
from history import DURABLE, Promise
from recording import Recording, record, without_stalls
from strace import Call
from tracing import Reader

NOTHING = Promise(math.inf)  # only that what is found is the state after some operation, whole
CUTS = 200


def _cuts(store: str, seed: int, promise: Promise, scratch: str) -> list[Found]:
    recording = record(os.path.join(scratch, "root"), store, str(seed))
    drawn = places(recording.events, seed, CUTS, recording.after("done 1"))
    with Checker() as checker:
        return list(cut(recording, store, str(seed), drawn, promise, scratch, checker))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lmdb_without_syncs_is_found_corrupt(seed: int, scratch: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = _cuts("lmdb without syncs", seed, NOTHING, scratch)
    corrupt = [number for number, cut in enumerate(found, 1) if cut.wrong]
    assert corrupt, f"not in {CUTS} cuts"
    with capsys.disabled():
        print(f"\nlmdb without syncs, seed {seed}: corrupt after {len(corrupt)} of {CUTS} cuts, first {corrupt[0]}")


def test_lmdb_with_syncs_is_not(scratch: str) -> None:
    assert not [cut for cut in _cuts("lmdb", 1, DURABLE, scratch) if cut.wrong]


def test_value_that_shrank_in_one_commit_is_no_damage(scratch: str) -> None:
    path = os.path.join(scratch, "shrunk")
    with lmdb.open(path, subdir=False, lock=False) as environment:
        with environment.begin(write=True) as transaction:
            transaction.put(b"k", b"x" * 100_000)
            transaction.put(b"k", b"x" * 10_000)  # keeps the pages that this transaction has taken
        assert environment.stat()["overflow_pages"] > 4
    verify(path)


def test_page_that_leads_astray_is_damage(scratch: str) -> None:
    path = os.path.join(scratch, "overwritten")
    with lmdb.open(path, subdir=False, lock=False) as environment:
        with environment.begin(write=True) as transaction:
            transaction.put(b"k", b"v")
        root = environment.info()["last_pgno"]
        size = environment.stat()["psize"]
    with open(path, "r+b") as file:
        file.seek(root * size)
        file.write(b"\xff" * size)
    with pytest.raises(AssertionError, match=f"page {root}"):
        verify(path)


def test_shelf_whose_name_is_not_synced_is_found_missing(scratch: str) -> None:
    wrong = [cut.wrong for cut in _cuts("shelf without syncing names", 1, DURABLE, scratch) if cut.wrong]
    assert wrong
    assert all("the shelf is gone" in reason for reason in wrong)


@pytest.mark.parametrize("store", ["shelf whose flushes are not synced"])
def test_shelf_that_breaks_its_promise_is_convicted(store: str, scratch: str) -> None:
    assert [cut for cut in _cuts(store, 1, DURABLE, scratch) if cut.wrong]


def test_promise_with_an_interval_lets_only_the_last_commits_go() -> None:
    said: list[Event] = []
    for number in range(1, 6):
        said += [
            Said(seconds=number, text=f"begun {number}"),
            Said(seconds=number + 0.1, text=f"done {number} 0"),
        ]
    assert DURABLE.bounds(said, 10) == (5, 5)
    assert DURABLE.bounds(said, 9) == (4, 5)
    assert Promise(1.5).bounds(said, 10) == (3, 5)
    assert Promise(1.5).bounds(said, 2) == (0, 1)
    assert NOTHING.bounds(said, 10) == (0, 5)
    assert DURABLE.bounds(said, 0) == (0, 0)


def test_a_writer_that_is_held_up_does_not_grow_older() -> None:
    said: list[Event] = [Said(seconds=seconds) for seconds in (3.0, 3.05, 5.0, 4.9, 5.01)]
    found = without_stalls(Recording(Directory(b"/tree"), said, 0)).events
    assert [event.seconds for event in found] == pytest.approx([3.0, 3.05, 3.15, 3.05, 3.16])


def test_a_descriptor_that_is_given_out_before_its_close_has_returned_is_followed() -> None:
    def call(name: str, arguments: list[str], result: int, started: int, ended: int) -> Call:
        return Call(name, arguments, result, float(started), started, ended)

    def made(name: str, started: int) -> Call:
        path = "".join(f"\\x{byte:02x}" for byte in f"/tree/{name}".encode())
        return call("openat", ["AT_FDCWD", f'"{path}"', "O_WRONLY|O_CREAT"], 7, started, started)

    reader = Reader("/tree", ())
    reader.read([made("a", 0), made("b", 2), call("close", ["7"], 0, 1, 3), call("write", ["7", r'"\x78"'], 1, 4, 4)])
    _, named, last = reader.events
    assert isinstance(named, Named)
    assert isinstance(last, Wrote)
    assert last.file is named.names[b"b"]
    reader.read([made("b", 0), call("close", ["7"], 0, 1, 2), call("write", ["7", r'"\x78"'], 1, 3, 3)])
    assert reader.events[-1] is last
