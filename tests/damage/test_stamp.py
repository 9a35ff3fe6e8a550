"""The closing stamp: who writes it, when it counts, and what opening makes of it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import pytest

import coshelf
from coshelf import records
from coshelf.engines.lmdb.pages import closing_stamp, inner_pages
from coshelf.engines.lmdb.pages.closing_stamp import Stamp, read_stamp
from coshelf.engines.lmdb.pages.header import Meta, read_metas
from coshelf.keys import encode

PAGE = 4096
ENTRIES = {f"key {number:03}": "x" * (number % 90) for number in range(400)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        shelf.update(ENTRIES)
    return tmp_path / "my.shelf"


def newest(path: Path) -> Meta:
    with path.open("rb") as file:
        return max(read_metas(file.fileno(), str(path)), key=lambda meta: meta.transaction)


def stamp_of(path: Path) -> Stamp | None:
    with path.open("rb") as file:
        return read_stamp(file.fileno(), PAGE)


def is_stamped(path: Path) -> bool:
    stamp = stamp_of(path)
    return stamp is not None and stamp.transaction == newest(path).transaction


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def flip(path: Path, at: int, by: int = 1) -> None:
    overwrite(path, at, bytes([path.read_bytes()[at] ^ by]))


def elsewhere(path: Path, code: str) -> None:
    """Run code in another process, with ``shelf`` open."""
    whole = f"import coshelf, os, signal, sys\nshelf = coshelf.open(sys.argv[1])\n{code}"
    done = subprocess.run([sys.executable, "-c", whole, path], capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr


# --- who writes it ---------------------------------------------------------------------------------------------------


def test_last_closer_stamps_and_a_reader_leaves_the_file_as_it_is(path: Path) -> None:
    assert is_stamped(path)
    before = path.read_bytes()
    with coshelf.open(path, "r") as shelf:
        assert shelf.copy() == ENTRIES
    assert path.read_bytes() == before
    with coshelf.open(path) as shelf:
        assert len(shelf) == len(ENTRIES)
    assert path.read_bytes() == before


def test_each_closing_after_a_write_stamps_anew(path: Path) -> None:
    for number in range(5):
        with coshelf.open(path) as shelf:
            shelf["new"] = number
        assert is_stamped(path)


def test_reader_that_closes_last_stamps_what_others_wrote(path: Path) -> None:
    with coshelf.open(path, "r") as shelf:
        elsewhere(path, "shelf['new'] = 1; shelf.close()")
        assert not is_stamped(path)
        assert shelf["new"] == 1
    assert is_stamped(path)


def test_killed_writer_leaves_an_old_stamp_that_keeps_nobody_out(path: Path) -> None:
    elsewhere(path, "shelf['new'] = 1; shelf.sync(); os.kill(os.getpid(), signal.SIGKILL)")
    assert not is_stamped(path)
    with coshelf.open(path):
        pass
    assert is_stamped(path)


def test_stamp_lies_beside_the_older_header(path: Path) -> None:
    """So that whatever becomes of it while it is written, the newer one is not touched."""
    for number in range(4):
        before = path.read_bytes()
        with coshelf.open(path) as shelf:
            shelf["new"] = number
        newer = newest(path).transaction % 2
        places = [slice(page * PAGE + closing_stamp.AT, (page + 1) * PAGE) for page in (newer, 1 - newer)]
        assert path.read_bytes()[places[0]] == before[places[0]]
        assert path.read_bytes()[places[1]] != before[places[1]]


def test_shelf_without_a_stamp_opens_and_is_stamped_by_who_may_write(path: Path) -> None:
    for page in (0, 1):
        overwrite(path, page * PAGE + closing_stamp.AT, bytes(100))
    assert stamp_of(path) is None
    before = path.read_bytes()
    with coshelf.open(path, "r") as shelf:
        assert shelf.copy() == ENTRIES
    assert path.read_bytes() == before
    with coshelf.open(path) as shelf:
        assert shelf.copy() == ENTRIES
    assert is_stamped(path)


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_damaged_stamp_is_none(at: int, path: Path) -> None:
    older = 1 - newest(path).transaction % 2
    flip(path, older * PAGE + closing_stamp.AT + at)
    with coshelf.open(path, "r") as shelf:
        assert shelf.copy() == ENTRIES


def test_stamp_fits_in_the_header_page_up_to_the_largest_shelf(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        for number in range(33):
            shelf[number] = bytes(100_000)
    assert 3_300_000 < (tmp_path / "my.shelf").stat().st_size < closing_stamp.LARGEST
    stamp = stamp_of(tmp_path / "my.shelf")
    assert stamp is not None
    assert stamp.kind == closing_stamp.ALL
    assert len(stamp.checksums) == stamp.last_page
    with coshelf.open(tmp_path / "my.shelf", "r") as shelf:
        assert len(shelf) == 33


def test_a_write_error_while_stamping_is_no_error_of_close(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> int:
        raise OSError(5, "injected")

    with coshelf.open(path) as shelf:
        shelf["new"] = 1
        monkeypatch.setattr(closing_stamp, "write_at", fail)
        shelf.sync()
    monkeypatch.undo()
    assert not is_stamped(path)
    with coshelf.open(path, "r") as shelf:
        assert shelf["new"] == 1


# --- what opening makes of it ----------------------------------------------------------------------------------------


def pages_of(path: Path) -> tuple[set[int], set[int]]:
    """The pages in use, and the others, as LMDB's verifier and our own walk agree."""
    from coshelf.engines.lmdb.checks.opening import _pages_in_use

    with path.open("rb") as file:
        used = {page for page, _ in _pages_in_use(file.fileno(), newest(path))}
    return used, set(range(2, newest(path).last_page + 1)) - used


def test_damage_in_unused_pages_is_no_damage(path: Path) -> None:
    with coshelf.open(path) as shelf:
        for number in range(5):
            shelf.update(dict.fromkeys(ENTRIES, number))
            shelf.sync()
    used, unused = pages_of(path)
    assert used
    assert unused
    for page in unused:
        overwrite(path, page * PAGE, os.urandom(PAGE))
    with coshelf.open(path) as shelf:
        assert shelf.copy() == dict.fromkeys(ENTRIES, 4)
        assert "other" not in shelf
        shelf["other"] = 1
    with coshelf.open(path, "r") as shelf:
        assert shelf.copy() == dict.fromkeys(ENTRIES, 4) | {"other": 1}


def test_an_older_state_of_any_page_is_refused(path: Path) -> None:
    before = path.read_bytes()
    with coshelf.open(path) as shelf:
        shelf.update(dict.fromkeys(ENTRIES, "x" * 80))
        shelf.sync()
        shelf.update(dict.fromkeys(ENTRIES, "y" * 80))
    whole = path.read_bytes()
    used, _ = pages_of(path)
    changed = [page for page in used if before[page * PAGE :][:PAGE] not in (whole[page * PAGE :][:PAGE], b"")]
    assert changed
    for page in changed:
        overwrite(path, page * PAGE, before[page * PAGE :][:PAGE])
        with pytest.raises(coshelf.DamagedShelf, match="shelf is damaged"):
            coshelf.open(path, "r")
        path.write_bytes(whole)


@pytest.mark.parametrize("closings", range(1, 5))
def test_lost_newest_header_is_refused(closings: int, path: Path) -> None:
    """A number lowered or raised by a flip: any would show an older state of the shelf."""
    for number in range(closings):
        with coshelf.open(path) as shelf:
            shelf["new"] = number
    whole = path.read_bytes()
    for page in (0, 1):
        for bit in range(64):
            flip(path, page * PAGE + 144 + bit // 8, 1 << bit % 8)
            with pytest.raises(coshelf.DamagedShelf):
                coshelf.open(path)
            path.write_bytes(whole)


def test_an_older_value_that_is_whole_is_refused(path: Path) -> None:
    """Its own checksum says nothing: it was stored under this key, once."""
    with coshelf.open(path) as shelf:
        shelf["key 100"] = "first!"
    whole = path.read_bytes()
    used, _ = pages_of(path)
    pickled, older = (pickle.dumps(value, 5) for value in ("first!", "older!"))
    key = encode("key 100")
    at = max(whole.find(key + pickled, page * PAGE, (page + 1) * PAGE) for page in used) + len(key)
    overwrite(path, at, records.seal(older, records.checksum(key, older), 1))
    with pytest.raises(coshelf.DamagedShelf, match="perhaps an older state"):
        coshelf.open(path, "r")


def damage_record(path: Path, key: str, offset: int = 2) -> None:
    """Flip a bit of the value of a key."""
    whole = path.read_bytes()
    used, _ = pages_of(path)
    for page in used:
        at = whole.find(key.encode(), page * PAGE, (page + 1) * PAGE)
        if at >= 0:
            flip(path, at + len(key) + offset)
            return
    raise AssertionError(key)


def test_with_damaged_records_no_key_is_called_absent_until_they_are_healed(path: Path) -> None:
    damage_record(path, "key 100")
    reads: list[Callable[[Any], Any]] = [
        lambda shelf: shelf["never there"],
        lambda shelf: shelf.get("never there"),
        lambda shelf: "never there" in shelf,
        lambda shelf: shelf.get_many(["key 001", "never there"]),
        lambda shelf: shelf.setdefault("never there", 1),
        lambda shelf: shelf.pop("never there", None),
        lambda shelf: shelf.snapshot()["never there"],
    ]
    with coshelf.open(path) as shelf:
        for read in reads:
            with pytest.raises(coshelf.DamagedShelf, match="damaged records") as caught:
                read(shelf)
            assert not isinstance(caught.value, KeyError)
        assert shelf["key 001"] == ENTRIES["key 001"]
        with pytest.raises(coshelf.DamagedRecord, match="key 100"):
            shelf["key 100"]
        shelf["another"] = 0
        shelf["another"] = 1
        shelf.sync()
        for read in reads:  # after commits, too
            with pytest.raises(coshelf.DamagedShelf, match="damaged records"):
                read(shelf)
    with coshelf.open(path) as shelf:  # closing in between forgets nothing
        with pytest.raises(coshelf.DamagedShelf, match="damaged records"):
            shelf["never there"]
        shelf["key 100"] = ENTRIES["key 100"]
    with coshelf.open(path) as shelf:
        assert "never there" not in shelf
        assert shelf.copy() == ENTRIES | {"another": 1}


_MISSING_KEY = """
try:
    shelf["never there"]
except coshelf.DamagedShelf as error:
    assert "damaged records" in str(error)
else:
    raise AssertionError("taken for absent")
"""


def test_who_opens_later_knows_of_damaged_records(path: Path) -> None:
    damage_record(path, "key 100")
    with coshelf.open(path):
        elsewhere(path, _MISSING_KEY)


def test_damage_in_a_large_value_is_told_after_opening(path: Path) -> None:
    """Records over 64 KiB are not verified by each read."""
    large = bytes(200_000)
    with coshelf.open(path) as shelf:
        shelf["large"] = large
    at = path.read_bytes().index(bytes(100_000)) + 50_000
    flip(path, at)
    with coshelf.open(path) as shelf:
        for read in (lambda: shelf["large"], shelf.copy, lambda: list(shelf.values())):
            with pytest.raises(coshelf.DamagedRecord, match="'large'") as caught:
                read()
            assert caught.value.key == "large"
        assert "large" in shelf
        del shelf["large"]
    with coshelf.open(path, "r") as shelf:
        assert shelf.copy() == ENTRIES


def test_damaged_long_key_is_told(tmp_path: Path) -> None:
    entries = {"k" * 600 + str(number): number for number in range(20)}
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        shelf.update(entries)
    at = tmp_path.joinpath("my.shelf").read_bytes().rindex(b"k" * 90)
    flip(tmp_path / "my.shelf", at)
    try:
        shelf = coshelf.open(tmp_path / "my.shelf", "r")
    except coshelf.DamagedShelf:
        return
    with shelf:
        for key, value in entries.items():
            try:
                assert shelf[key] == value
            except coshelf.DamagedShelf:
                continue


# --- large shelves, and those without a stamp ------------------------------------------------------------------------


@pytest.fixture
def large(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that counts as large, with a list of free pages."""
    monkeypatch.setattr(closing_stamp, "LARGEST", 0)
    with coshelf.open(path) as shelf:
        for number in range(3):
            shelf.update(dict.fromkeys(ENTRIES, number))
            shelf.sync()
    stamp = stamp_of(path)
    assert stamp is not None
    assert stamp.kind == closing_stamp.INNER
    return path


def test_flip_in_the_branches_and_the_free_list_of_a_large_shelf_is_found(large: Path) -> None:
    meta = newest(large)
    whole = large.read_bytes()
    assert meta.main_depth == 2
    for page in (meta.main_root, meta.free_root):
        lower = int.from_bytes(whole[page * PAGE + 12 :][:2], "little")
        upper = int.from_bytes(whole[page * PAGE + 14 :][:2], "little")
        for at in [*range(8, lower, 3), *range(upper, PAGE, 17)]:
            flip(large, page * PAGE + at, 0x10)
            with pytest.raises(coshelf.DamagedShelf):
                coshelf.open(large)
            large.write_bytes(whole)
    with coshelf.open(large, "r") as shelf:
        assert shelf.copy() == dict.fromkeys(ENTRIES, 2)


def test_walk_to_the_inner_pages_finds_as_many_as_lmdb_counts(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    meta = newest(large)
    monkeypatch.setattr(inner_pages, "_checksum_of", inner_pages.checksum_of_pages)  # the module reads without Python
    monkeypatch.setattr(inner_pages, "read_at", lambda descriptor, size, at: _noted(read, descriptor, size, at))
    with large.open("rb") as file:
        assert inner_pages.inner_checksum(file.fileno(), meta) is not None
    monkeypatch.undo()
    with lmdb.open(str(large), subdir=False, readonly=True, lock=False) as opened:
        branches = opened.stat()["branch_pages"]
    assert len(set(read)) == len(read) == branches + 1  # and the only page of the free list


def _noted(read: list[int], descriptor: int, size: int, at: int) -> bytes:
    read.append(at)
    return os.preadv(descriptor, [data := bytearray(size)], at) and bytes(data)


def test_too_many_inner_pages_are_not_stamped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing_stamp, "LARGEST", 0)
    monkeypatch.setattr(inner_pages, "_MOST", 1)
    with coshelf.open(path) as shelf:
        shelf["new"] = 1
    assert not is_stamped(path)
    with coshelf.open(path) as shelf:
        assert shelf["new"] == 1


def holds_entries(whole: bytes, page: int) -> bool:
    """Whether a page is a leaf with entries of ours, and without the shelf row."""
    content = whole[page * PAGE :][:PAGE]
    return content[10] == 2 and b"key " in content and b"\0shelf" not in content


def exchange_leaves(path: Path) -> None:
    """Two leaves in each other's place, in a shelf whose stamp says nothing of it."""
    whole = path.read_bytes()
    used, _ = pages_of(path)
    one, other = [page for page in sorted(used) if holds_entries(whole, page)][:2]
    overwrite(path, one * PAGE, whole[other * PAGE :][:PAGE])
    overwrite(path, other * PAGE, whole[one * PAGE :][:PAGE])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("view", ["keys", "items"])
def test_scan_tells_of_keys_that_are_not_in_order(view: str, reverse: bool, large: Path) -> None:
    exchange_leaves(large)
    with coshelf.open(large, "r") as shelf, pytest.raises(coshelf.DamagedShelf, match="not in order"):
        list(getattr(shelf, view)(reverse=reverse))


@pytest.mark.parametrize("view", ["keys", "items"])
def test_scan_of_everything_tells_of_missing_entries(view: str, large: Path) -> None:
    whole = large.read_bytes()
    used, _ = pages_of(large)
    leaf = next(page for page in sorted(used) if holds_entries(whole, page))
    lower = int.from_bytes(whole[leaf * PAGE + 12 :][:2], "little")
    overwrite(large, leaf * PAGE + 12, (lower - 2).to_bytes(2, "little"))  # one entry less in this leaf
    with coshelf.open(large, "r") as shelf:
        with pytest.raises(coshelf.DamagedShelf, match="it counts 400 entries, and 399 can be found"):
            list(getattr(shelf, view)())
        assert list(shelf.keys(stop="key 003")) == ["key 000", "key 001", "key 002"]
