"""Expired entries are removed in the background by processes that write, and by nobody else."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.contract import Batch
from coshelf.keys import FIRST, LAST
from coshelf.testing.moving_clock import MovingClock
from coshelf.values.expiry import INDEX, is_over, row_of, time_of

Shelf = coshelf.Shelf[Any, Any]
WRITER = Path(__file__).parent / "scripts" / "killed_writer.py"


def stored(shelf: Shelf) -> int:
    """How many entries the engine has, expired ones included."""
    return shelf._handle.engine.count(FIRST, LAST)


def index(shelf: Shelf) -> list[tuple[int, bytes]]:
    return [row_of(row) for row, _ in shelf._handle.engine.scan(*INDEX, keys_only=True)]


def test_flush_removes_what_has_expired(tmp_path: Path, clock: MovingClock) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({number: number for number in range(500)}, expire=60)
        shelf.sync()
        clock.pass_by(60)
        assert len(shelf) == 0
        assert stored(shelf) == 500
        shelf["a"] = 1
        shelf.sync()
        assert (stored(shelf), index(shelf)) == (1, [])
        assert shelf.check().ok


def test_one_flush_removes_a_bounded_number(tmp_path: Path, clock: MovingClock) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({number: number for number in range(2_500)}, expire=60)
        shelf.sync()
        clock.pass_by(60)
        left = []
        for _ in range(3):
            shelf["a"] = 1
            shelf.sync()
            left.append(stored(shelf) - 1)
            assert len(shelf) == 1
        assert 1_000 < left[0] < 2_500
        assert left[2] == 0


def test_large_commit_to_the_base_removes_too(tmp_path: Path, clock: MovingClock) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({number: number for number in range(100)}, expire=60)
        shelf.sync()
        clock.pass_by(60)
        shelf.update({f"k{number}": number for number in range(1_500)})
        assert stored(shelf) == 1_500


@pytest.mark.parametrize("kind", ["memory:", "mapping", "sqlite:"])
def test_storing_entries_with_times_removes_expired_ones(kind: str, tmp_path: Path, clock: MovingClock) -> None:
    target: Any = {} if kind == "mapping" else kind if kind == "memory:" else f"sqlite:{tmp_path / 'a.db'}"
    with coshelf.open(target) as shelf:
        for number in range(400):
            shelf.set(number, number, expire=1)
            clock.pass_by(0.1)
        assert len(shelf) == 9
        assert stored(shelf) < 100
        assert len(index(shelf)) < 100


def test_entry_that_was_stored_anew_is_not_removed(tmp_path: Path, clock: MovingClock) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({"permanent": 1, "longer": 1}, expire=60)
        shelf.sync()
        shelf["permanent"] = 2
        shelf.set("longer", 2, expire=120)
        clock.pass_by(60)
        shelf.sync()
        shelf["b"] = 1
        shelf.sync()
        assert dict(shelf) == {"b": 1, "longer": 2, "permanent": 2}
        assert [key for _, key in index(shelf)] == [b"\x30longer"]


def test_reading_writes_nothing(tmp_path: Path, clock: MovingClock) -> None:
    path = tmp_path / "a.shelf"
    with coshelf.open(path) as shelf:
        shelf.update({number: number for number in range(10)}, expire=60)
    clock.pass_by(60)
    before = path.read_bytes()
    with coshelf.open(path, "r") as shelf:
        assert (len(shelf), list(shelf), dict(shelf.items()), shelf.get(1)) == (0, [], {}, None)
        with pytest.raises(coshelf.ReadOnlyShelf):
            shelf.expire()
        with pytest.raises(coshelf.ReadOnlyShelf):
            shelf.set("a", 1, expire=60)
    assert path.read_bytes() == before


def test_shelf_without_times_has_no_index(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({number: number for number in range(10)})
        shelf.sync()
        assert shelf._handle.engine.first_expiry() is None
        assert index(shelf) == []


def test_compacted_and_salvaged_files_know_their_times(tmp_path: Path, clock: MovingClock) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({f"{number:0600}": number for number in range(40)}, expire=60)
        shelf["b"] = 1
        shelf.compact()
    assert coshelf.salvage(tmp_path / "a.shelf", tmp_path / "salvaged.shelf").entries == 41
    clock.pass_by(60)
    for name in ("a.shelf", "salvaged.shelf"):
        with coshelf.open(tmp_path / name) as shelf:
            assert (len(shelf), list(shelf)) == (1, ["b"])
            shelf["c"] = 1
            shelf.sync()
            assert (stored(shelf), index(shelf)) == (2, [])
            assert shelf.check().ok


def test_rows_of_a_crafted_file_do_no_harm(tmp_path: Path, clock: MovingClock) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        engine = shelf._handle.engine
        rows = [INDEX[0], INDEX[0] + b"\0" * 8, INDEX[0] + b"\0" * 8 + b"\x01values", INDEX[0] + b"\0" * 8 + b"\x30a"]
        engine.commit(Batch(puts=dict.fromkeys(rows, b"\x02\x00")))
        shelf["a"] = 1
        assert (len(shelf), list(shelf), dict(shelf.items())) == (1, ["a"], {"a": 1})
        shelf.sync()
        shelf["b"] = 1
        shelf.sync()
        assert dict(shelf) == {"a": 1, "b": 1}
        assert index(shelf) == []
    with coshelf.open("memory:") as shelf:
        shelf._handle.engine.commit(Batch(puts=dict.fromkeys(rows, b"\x02\x00")))
        assert (len(shelf), list(shelf), shelf.expire(), index(shelf)) == (0, [], 0, [])


def test_other_process_sees_times_and_expiry(tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    program = f"""
import coshelf
with coshelf.open({str(path)!r}) as shelf:
    shelf.set("soon", 1, expire=60)
    shelf.set("later", 1, expire=3600)
    print(shelf.expires("soon"))
"""
    with coshelf.open(path) as shelf:
        said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
        assert list(shelf) == ["later", "soon"]
        with MovingClock() as clock:
            clock.pass_by(float(said) - clock.now() / 1_000_000)
            assert list(shelf) == ["later"]
            assert shelf.get("soon") is None


@pytest.fixture(params=["", "sqlite:"])
def killed(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A shelf whose writer was killed in the middle of storing, touching and removing entries with times."""
    target = f"{request.param}{tmp_path / 'a.shelf'}"
    writer = subprocess.Popen([sys.executable, str(WRITER), target], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer:
        for _ in range(40):
            assert writer.stdout.readline()
        writer.kill()
    return target


def test_kill_does_not_part_an_entry_from_its_row(killed: str) -> None:
    with coshelf.open(killed) as shelf:
        engine = shelf._handle.engine
        rows = set(index(shelf))
        for key, entry in engine.scan(FIRST, LAST):
            assert entry is not None
            expires = time_of(entry.record)
            assert expires is None or (expires, key) in rows
        now = engine.now()
        living = {key for key, entry in engine.scan(FIRST, LAST) if entry and not is_over(key, entry.record, now)}
        assert len(shelf) <= len(living)
        assert shelf.check().ok
        shelf.expire()
        assert all(expires > now for expires, _ in index(shelf))


def test_flush_beside_a_transaction_removes_nothing_that_it_sees(tmp_path: Path, clock: MovingClock) -> None:
    with coshelf.open(tmp_path / "a.shelf", flush_interval=3600) as shelf:
        shelf.update({"a": 1, "b": 2}, expire=60)
        shelf.sync()
        shelf["c"] = 3
        with shelf.transaction() as transaction:
            assert len(transaction) == 3
            clock.pass_by(60)
            flush = threading.Thread(target=shelf._handle.engine.sync)
            flush.start()
            flush.join()
            assert dict(transaction) == {"a": 1, "b": 2, "c": 3}
            assert transaction.touch("a", expire=60)
        assert dict(shelf) == {"a": 1, "c": 3}
        shelf.sync()
        assert stored(shelf) == 2
