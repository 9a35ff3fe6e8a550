"""What was committed, and a killed process had not flushed, is salvaged with what the damaged file has."""

from __future__ import annotations

import mmap
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from insides import use_tables
from kinds import PAGE

import coshelf
from coshelf.engines.lmdb.delta import files
from coshelf.engines.lmdb.delta.flusher import Flusher
from coshelf.engines.lmdb.delta.state import DeltaState
from coshelf.engines.lmdb.files.sidecar_directory import delta_path, sidecar_directory, state_path
from coshelf.engines.lmdb.pages.header import read_metas
from coshelf.engines.lmdb.pages.layout import LEAF, kind_of
from coshelf.inspection.reports import SalvageReport
from coshelf.keys import encode

LONG = "long" * 300
FLUSHED: dict[Any, Any] = {f"key {number:04}": "x" * 50 for number in range(500)} | {LONG: "old", "gone": 1}
NEWER: dict[Any, Any] = {"key 0003": "newer", "new": ["y"], LONG: "newer", "large": bytes(10_000)}
EXPECTED = {key: value for key, value in (FLUSHED | NEWER).items() if key != "gone"}


def left(path: str, fill: Callable[[Any], None] | None = None) -> None:
    """A shelf whose only process dies before it has flushed what it committed last."""
    child = os.fork()
    if not child:
        try:
            Flusher.notice = lambda self: None  # type: ignore[method-assign]  # nothing is flushed but by sync()
            shelf: Any = coshelf.open(path, flush_interval=1_000)
            shelf.update(FLUSHED)
            shelf.sync()
            if fill is None:
                shelf.update(NEWER)
                del shelf["gone"]
            else:
                fill(shelf)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.path.exists(state_path(path))


def salvaged(path: str) -> tuple[dict[Any, Any], SalvageReport]:
    before = Path(path).read_bytes()
    report = coshelf.salvage(path, path + ".salvaged")
    assert Path(path).read_bytes() == before
    assert coshelf.check(path + ".salvaged").ok
    with coshelf.open(path + ".salvaged", "r") as shelf:
        assert len(shelf) == report.entries
        return dict(shelf), report


def blank(path: str, *numbers: int) -> None:
    with open(path, "r+b") as file:
        for number in numbers:
            file.seek(number * PAGE)
            file.write(bytes(PAGE))


def change_state(path: str, change: Callable[[DeltaState], object]) -> None:
    page = bytearray(Path(state_path(path)).read_bytes())
    change(DeltaState(page))
    Path(state_path(path)).write_bytes(page)


def leaves_with(path: str, text: bytes) -> list[int]:
    """The leaf pages that have this text on them."""
    content = Path(path).read_bytes()
    pages = {number: content[number * PAGE :][:PAGE] for number in range(2, len(content) // PAGE)}
    return [number for number, page in pages.items() if kind_of(page) == LEAF and text in page]


@pytest.mark.parametrize("headers", [(), (0,), (1,), (0, 1)])
def test_what_waits_in_the_delta_is_taken(headers: tuple[int, ...], path: str) -> None:
    left(path)
    blank(path, *headers)
    entries, report = salvaged(path)
    assert entries == EXPECTED
    assert (report.from_delta, report.lost, report.resurrected) == (len(NEWER), 0, 0)
    assert not [problem for problem in report.problems if problem.kind == "delta"]


def test_salvaged_shelf_goes_on_behind_the_last_commit_of_the_delta(path: str) -> None:
    left(path)
    salvaged(path)
    with coshelf.open(path + ".salvaged") as shelf:
        engine = shelf._handle.engine
        before = engine.get(encode("new"))
        shelf["later"] = 1
        after = engine.get(encode("later"))
        assert before is not None
        assert after is not None
        assert after.version > before.version
        assert engine.distrust() is None


def test_damaged_record_that_the_delta_has_anew_is_not_lost(path: str) -> None:
    def fill(shelf: Any) -> None:
        shelf["marked"] = "here I am"
        shelf.sync()
        shelf["marked"] = "anew"

    left(path, fill)
    with open(path, "r+b") as file:
        content = file.read()
        file.seek(content.rindex(b"here I am"))
        file.write(b"here 2 am")
    assert not coshelf.check(path).ok
    entries, report = salvaged(path)
    assert entries == FLUSHED | {"marked": "anew"}
    assert (report.from_delta, report.lost, report.ok) == (1, 0, True)


def test_entries_that_only_a_count_misses_may_be_in_the_delta(path: str) -> None:
    """Their keys are not known, so the number of lost ones is between two bounds."""
    left(path)
    blank(path, *leaves_with(path, b"key 0300"))
    entries, report = salvaged(path)
    missing = len(EXPECTED.keys() - entries.keys())
    assert missing
    assert missing - len(NEWER) <= report.lost <= missing
    assert not report.lost_is_known
    assert entries["key 0003"] == "newer"
    assert "gone" not in entries


def test_doubtful_entry_that_was_deleted_in_the_delta_does_not_come_back(path: str) -> None:
    def fill(shelf: Any) -> None:
        for key in FLUSHED:
            del shelf[key]

    left(path, fill)
    with open(path, "rb") as file:
        root = max(read_metas(file.fileno(), path), key=lambda meta: meta.transaction).main_root
    blank(path, root)
    entries, report = salvaged(path)
    assert (entries, report.resurrected) == ({}, 0)


def test_flush_that_was_cut_short_loses_nothing(path: str) -> None:
    """Its pages may be there in part, and its header not yet."""

    def fill(shelf: Any) -> None:
        shelf.update(NEWER | {"key 0400": "far away"})
        del shelf["gone"]
        with open(path, "rb") as file:
            Path(path + ".headers").write_bytes(file.read(2 * PAGE))
        DeltaState.confirm = lambda *_: os._exit(0)  # type: ignore[assignment, method-assign]
        shelf.sync()

    left(path, fill)
    blank(path, *leaves_with(path, b"far away"))
    with open(path, "r+b") as file:
        file.write(Path(path + ".headers").read_bytes())
    entries, report = salvaged(path)
    assert entries == EXPECTED | {"key 0400": "far away"}
    assert (report.from_delta, report.lost) == (len(NEWER) + 1, 0)


def test_large_buffers_that_wait_are_taken(path: str) -> None:
    buffer = bytearray(random.Random(1).randbytes(3_000_000))

    def fill(shelf: Any) -> None:
        shelf["buffer"] = buffer

    left(path, fill)
    blank(path, 0)
    entries, report = salvaged(path)
    assert entries["buffer"] == buffer
    assert os.listdir(path + ".salvaged.coshelf-blobs")
    assert report.from_delta == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.announce(bytes(16), bytes(16)),
        lambda state: state.set_identity(state.identity()._replace(store_id=bytes(16))),
        lambda state: state.set_identity(state.identity()._replace(boot=bytes(16))),
        lambda state: state.set_identity(state.identity()._replace(inode=1)),
    ],
    ids=["nonce", "store id", "boot", "inode"],
)
def test_delta_that_does_not_belong_to_the_shelf_is_not_taken(change: Any, path: str) -> None:
    left(path)
    change_state(path, change)
    check_that_only_the_base_is_taken(path)


def test_table_whose_numbers_cannot_be_is_not_taken(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "native", files.native)  # put back at the end of the test
    use_tables()
    left(path)
    change_state(path, lambda state: state.set_identity(state.identity()._replace(offset=1 << 62)))
    check_that_only_the_base_is_taken(path)


def check_that_only_the_base_is_taken(path: str) -> None:
    entries, report = salvaged(path)
    assert entries == FLUSHED
    assert (report.from_delta, report.lost_is_known) == (0, False)
    assert [problem.kind for problem in report.problems] == ["delta"]


def test_delta_is_not_taken_where_the_shelf_row_is_lost(path: str) -> None:
    """Nothing tells then whether it belongs to this state of the shelf."""
    left(path)
    blank(path, *leaves_with(path, b"\0shelf"))
    entries, report = salvaged(path)
    assert report.from_delta == 0
    assert entries
    assert "delta" in [problem.kind for problem in report.problems]


def test_state_page_of_another_file_says_nothing(path: str) -> None:
    left(path)
    os.rename(path, path + ".moved")
    Path(path).write_bytes(Path(path + ".moved").read_bytes())
    entries, report = salvaged(path)
    assert (entries, report.ok) == (FLUSHED, True)


def test_sidecars_that_others_could_write_are_not_taken(path: str) -> None:
    left(path)
    os.chmod(sidecar_directory(path), 0o777)
    entries, report = salvaged(path)
    assert entries == FLUSHED
    assert [problem.kind for problem in report.problems] == ["delta"]


def test_damaged_row_of_the_delta_is_named_and_the_others_are_taken(path: str) -> None:
    left(path)
    at = place_of_newest(path)
    with open(delta_path(path, 0), "r+b") as file:
        file.seek(at)
        file.write(b"older")
    entries, report = salvaged(path)
    assert report.from_delta == len(NEWER) - 1
    assert report.lost == 1
    assert [problem.kind for problem in report.problems] == ["lost"]
    assert entries["new"] == ["y"]


def place_of_newest(path: str) -> int:
    """Where in the file of the delta the first of the newer values lies. The file may be large, with holes."""
    with open(delta_path(path, 0), "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        return mapped.find(b"newer")


@pytest.mark.parametrize("seed", range(12))
def test_no_damage_to_a_delta_makes_a_salvage_invent_something(seed: int, path: str) -> None:
    left(path)
    chance = random.Random(seed)
    length = os.path.getsize(delta_path(path, 0))
    rows = place_of_newest(path) // PAGE * PAGE
    # The header of either kind, and its first rows: those of a log lie far behind it.
    places = [*range(2 * PAGE), *range(rows, min(length, rows + 10 * PAGE))]
    with open(delta_path(path, 0), "r+b") as file:
        for _ in range(chance.choice((1, 30, 300))):
            file.seek(chance.choice(places))
            file.write(bytes([chance.randrange(256)]))
    entries, report = salvaged(path)
    known = [FLUSHED, EXPECTED]
    assert all(any(key in state and state[key] == value for state in known) for key, value in entries.items())
    assert entries == EXPECTED or not report.ok


def test_command_says_how_many_come_from_the_delta(path: str) -> None:
    from click.testing import CliRunner

    from coshelf.cli.salvage_command import salvage_command

    left(path)
    shown = CliRunner().invoke(salvage_command, [path, path + ".new"]).output
    assert f"{len(EXPECTED)} entries taken, {len(NEWER)} of them not flushed before" in shown
