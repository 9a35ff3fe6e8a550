"""Items go through the shelf's codec, and a shelf's protections hold for them."""

from __future__ import annotations

import datetime as dt
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import coshelf
from coshelf.contract import DEQUES, QUEUES, Batch
from coshelf.errors import DamagedRecord, ReadOnlyShelf, UntrustedValue

Shelf = coshelf.Shelf[Any, Any]
SECRET = b"s" * 32
CHOICES: dict[str, dict[str, Any]] = {
    "signed": {"sign": [SECRET]},
    "encrypted": {"encrypt": SECRET},
    "compressed": {"compress": "zstd"},
    "json": {"codec": "json"},
    "protocol 3": {"protocol": 3},
}
SMALL, LARGE = ["x", 1, None], "y" * 40_000


@pytest.mark.parametrize("choice", CHOICES)
def test_items_are_written_and_read_as_values_are(tmp_path: Path, choice: str) -> None:
    with coshelf.open(tmp_path / "a.shelf", **CHOICES[choice]) as shelf:
        jobs, recent = shelf.queue("jobs"), shelf.deque("recent")
        jobs.put_many([SMALL, LARGE, SMALL])
        recent.extend([SMALL, LARGE])
        recent.rotate(1)
        with pytest.raises(KeyError), jobs.take():
            raise KeyError
    with coshelf.open(tmp_path / "a.shelf", **CHOICES[choice]) as shelf:
        jobs = shelf.queue("jobs")
        with jobs.take() as first, jobs.take() as second:
            assert (first, second) == (SMALL, LARGE)
        assert (jobs.get(), list(shelf.deque("recent"))) == (SMALL, [LARGE, SMALL])


def test_encrypted_items_are_not_readable_in_the_file(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf", encrypt=SECRET) as shelf:
        shelf.queue("jobs").put("a plain secret")
        shelf.deque("recent").append("a plain secret")
    assert b"plain secret" not in (tmp_path / "a.shelf").read_bytes()


def test_arrays_come_back_from_blobs_and_their_files_go_with_them(tmp_path: Path) -> None:
    array = np.arange(400_000)
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        jobs, recent = shelf.queue("jobs"), shelf.deque("recent")
        jobs.put(array)
        recent.append(array)
        recent.append(1)
        recent.rotate(1)
        shelf.sync()
        with pytest.raises(KeyError), jobs.take() as job:
            assert (job == array).all()
            raise KeyError
        assert len(list((tmp_path / "a.shelf.coshelf-blobs").glob("?" * 32))) == 2
        assert (jobs.get() == array).all()
        assert (recent.pop() == array).all()
        assert recent.pop() == 1
        assert list(shelf.engine_for("test").scan(*DEQUES)) == []
        shelf.sync()
    assert coshelf.check(tmp_path / "a.shelf").ok


class Object:
    """More than plain data."""


def test_an_untrusted_shelf_gives_plain_data_alone_and_loses_nothing(tmp_path: Path) -> None:
    place = tmp_path / "a.shelf"
    with coshelf.open(place) as shelf:
        shelf.queue("plain").put_many([SMALL, dt.date(2026, 1, 2)])
        shelf.queue("jobs").put(Object())
        shelf.deque("recent").append(Object())
    with coshelf.open(place, trust=False) as shelf:
        jobs, recent = shelf.queue("jobs"), shelf.deque("recent")
        assert [shelf.queue("plain").get(), shelf.queue("plain").get()] == [SMALL, dt.date(2026, 1, 2)]
        for call in (jobs.get, jobs.peek, jobs.take().__enter__, recent.pop, lambda: list(recent)):
            with pytest.raises(UntrustedValue, match="Object"):
                call()
        assert (len(jobs), len(recent)) == (1, 1)
    with coshelf.open(place) as shelf:
        assert isinstance(shelf.queue("jobs").get(), Object)
        assert isinstance(shelf.deque("recent").pop(), Object)


def test_a_signed_shelf_refuses_an_item_without_a_signature(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.queue("jobs").put("forged")
    with coshelf.open(tmp_path / "a.shelf", sign=[SECRET]) as shelf:
        with pytest.raises(UntrustedValue):
            shelf.queue("jobs").get()
        assert len(shelf.queue("jobs")) == 1


def test_a_signature_of_one_item_is_not_that_of_another(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf", sign=[SECRET]) as shelf:
        shelf.queue("jobs").put_many(["a", "b"])
        engine = shelf.engine_for("test")
        rows = [(row, entry) for row, entry in engine.scan(*QUEUES) if entry is not None and row.endswith(b"\0")]
        engine.commit(Batch(puts={rows[1][0]: rows[0][1].record[:-12]}))
        assert shelf.queue("jobs").get() == "a"
        with pytest.raises(UntrustedValue):
            shelf.queue("jobs").get()


@pytest.mark.parametrize("target", ["lmdb", "sqlite", "files"], indirect=True)
def test_a_shelf_that_is_read_only_shows_its_queues_and_changes_nothing(target: Any) -> None:
    with coshelf.open(target) as shelf:
        shelf.queue("jobs").put_many("ab")
        shelf.deque("recent").extend("ab")
    with coshelf.open(target, "r") as shelf:
        jobs, recent = shelf.queue("jobs"), shelf.deque("recent")
        assert (len(jobs), jobs.peek(), list(jobs.failed), list(recent), recent[1]) == (2, "a", [], ["a", "b"], "b")
        calls = [lambda: jobs.put(1), jobs.get, jobs.take().__enter__, jobs.clear, jobs.join, jobs.failed.retry]
        for call in [*calls, recent.pop, recent.reverse, lambda: recent.append(1)]:
            with pytest.raises(ReadOnlyShelf):
                call()
    with coshelf.open(target) as shelf:
        assert [shelf.queue("jobs").get(), shelf.deque("recent").pop()] == ["a", "b"]


SENSELESS = [
    pickle.dumps(b"\xff\xff\xff\xff{}" + bytes(300), 3),
    pickle.dumps(b"\x02\x00\x00\x00{}" + bytes(300), 3),
    pickle.dumps(b'\x0a\x00\x00\x00{"kind":1}' + bytes(300), 3),
    pickle.dumps(b"\x02\x00\x00\x00[]" + bytes(300), 3),
    pickle.dumps(bytes(300), 3),
    pickle.dumps(b"", 3),
    pickle.dumps(3, 5),
]


def replace(shelf: Shelf, space: tuple[bytes, bytes], ends: bytes, body: bytes) -> None:
    """Replace the last row of a range by another one, whose checksum is right."""
    engine = shelf.engine_for("test")
    row = next(row for row, _ in engine.scan(*space, reverse=True, keys_only=True) if row.endswith(ends))
    engine.commit(Batch(puts={row: body}))


def test_rows_that_make_no_sense_are_damage_and_stop_nothing_else(shelf: Shelf) -> None:
    for number, body in enumerate(SENSELESS):
        jobs, recent = shelf.queue(f"jobs {number}"), shelf.deque(f"recent {number}")
        jobs.put("x" * 40_000)
        recent.append("a")
        replace(shelf, QUEUES, b"\1", body)
        replace(shelf, DEQUES, b"S", body)
        with pytest.raises(DamagedRecord, match=f"queue 'jobs {number}'"):
            jobs.get_nowait()
        with pytest.raises(DamagedRecord, match=f"deque 'recent {number}'"):
            recent.pop()
        shelf.queue("other").put(1)
        assert shelf.queue("other").get_nowait() == 1
