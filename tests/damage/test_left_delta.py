"""A delta that came with a folder of somebody else's is looked at before LMDB maps it."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from crafted import Left, left_shelves

import coshelf
from coshelf.engines.lmdb.delta import check
from coshelf.engines.lmdb.delta.state import MAPPED, PLAIN, DeltaState
from coshelf.engines.lmdb.files.sidecar_directory import delta_path, sidecar_directory, state_path
from coshelf.engines.lmdb.pages.header import read_metas


@pytest.fixture(scope="module")
def shelves(tmp_path_factory: pytest.TempPathFactory) -> list[Left]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("maker")))
        return left_shelves(str(tmp_path_factory.mktemp("shelves")), ("few", "after deletes"))


@pytest.fixture
def strangers(shelves: list[Left], tmp_path: Path) -> str:
    """The path of a shelf as its unpacker has it, to whom all of the files belong."""
    return lay_out(shelves[0], tmp_path, MAPPED)


def lay_out(left: Left, place: Path, kind: int) -> str:
    path = str(place / "a.shelf")
    Path(path).write_bytes(left.base)
    state = bytearray(left.state)
    struct.pack_into("=QQ", state, 8, os.stat(path).st_dev, os.stat(path).st_ino)
    known = DeltaState(state)
    os.mkdir(sidecar_directory(path), 0o700)
    with open(delta_path(path, 0), "wb") as file:
        os.posix_fallocate(file.fileno(), 0, known.allocated)
        file.write(left.delta)
        file.truncate(left.delta_length)
    made = os.stat(delta_path(path, 0))
    known.set_identity(known.identity()._replace(device=made.st_dev, inode=made.st_ino, kind=kind))
    Path(state_path(path)).write_bytes(state)
    for name in (path, state_path(path), delta_path(path, 0)):
        os.chmod(name, 0o600)
    return path


@pytest.mark.parametrize("kind", [MAPPED, PLAIN])
def test_whole_delta_is_taken_up(kind: int, shelves: list[Left], tmp_path: Path) -> None:
    for number, left in enumerate(shelves):
        place = tmp_path / str(number)
        place.mkdir()
        with coshelf.open(lay_out(left, place, kind)) as shelf:
            assert shelf["new", 149] == "n" * 149
            assert shelf["k" * 700] == 1
            assert ("new", 3) not in shelf
        with coshelf.open(place / "a.shelf", "r") as shelf:
            assert shelf["large"] == bytes(20_000)


def change_state(change: Callable[[DeltaState], None]) -> Callable[[str], None]:
    def changed(path: str) -> None:
        page = bytearray(Path(state_path(path)).read_bytes())
        change(DeltaState(page))
        Path(state_path(path)).write_bytes(page)

    return changed


def identity(**fields: int) -> Callable[[str], None]:
    return change_state(lambda state: state.set_identity(state.identity()._replace(**fields)))


def allocated(size: int) -> Callable[[str], None]:
    def change(state: DeltaState) -> None:
        state.allocated = size

    return change_state(change)


def in_delta(find: bytes, put: bytes) -> Callable[[str], None]:
    """Wherever it is: also in pages that are free by now."""

    def change(path: str) -> None:
        with open(delta_path(path, 0), "r+b") as file:
            content = file.read(1 << 20)
            assert find in content
            file.seek(0)
            file.write(content.replace(find, put))

    return change


def another_kind_of_root(path: str) -> None:
    with open(delta_path(path, 0), "r+b") as file:
        newest = max(read_metas(file.fileno(), path), key=lambda meta: meta.transaction)
        file.seek(newest.main_root * 4096 + 10)
        file.write(b"\x22")  # a page of LMDB's for keys of one size


def exchanged_headers(path: str) -> None:
    with open(delta_path(path, 0), "r+b") as file:
        first, second = file.read(4096), file.read(4096)
        file.seek(0)
        file.write(bytes(8) + second[8:] + (1).to_bytes(8, "little") + first[8:])


CHANGES: dict[str, Callable[[str], None]] = {
    "map of no pages": identity(map_size=0),
    "map smaller than the file": identity(map_size=8192),
    "map of half a page": identity(map_size=(128 << 20) + 2048),
    "map larger than any": identity(map_size=1 << 60),
    "numbers that end": identity(offset=(1 << 63) - 1),
    "numbers before those of the base": identity(offset=-1_000),
    "more on the disk than there is": allocated(1 << 62),
    "headers exchanged": exchanged_headers,
    "page of another kind": another_kind_of_root,
    "record of another key": in_delta(b"large", b"largf"),
}


def beginnings(path: str) -> dict[str, bytes]:
    """What lies beside the shelf, with as much of it as there is anything in."""
    found = {}
    for place in (path, *Path(sidecar_directory(path)).iterdir()):
        with open(place, "rb") as file:
            found[str(place)] = file.read(1 << 20)
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_wrong_with_a_delta_of_somebody_else_s_is_told(change: str, strangers: str) -> None:
    CHANGES[change](strangers)
    files = beginnings(strangers)
    for flag in ("w", "r"):
        with pytest.raises(coshelf.DamagedShelf, match="delta"):
            coshelf.open(strangers, flag)  # type: ignore[arg-type]
    assert beginnings(strangers) == files
    os.unlink(delta_path(strangers, 0))  # as the error says
    with coshelf.open(strangers) as shelf:
        assert ("new", 149) not in shelf
        assert shelf["turn"] == 0


def test_rows_of_a_delta_that_is_said_to_be_empty_are_there_for_all_who_read(strangers: str) -> None:
    change_state(lambda state: state.clean())(strangers)
    with coshelf.open(strangers) as shelf:
        assert shelf["new", 149] == "n" * 149
        assert ("new", 149) in list(shelf)
        del shelf["new", 149]
        assert ("new", 149) not in shelf


@pytest.mark.parametrize("when", [float("nan"), float("inf"), 1e300, -1.0])
def test_time_of_a_flush_that_never_was_puts_off_no_other(when: float, strangers: str) -> None:
    def change(state: DeltaState) -> None:
        state.last_flush = when

    change_state(change)(strangers)
    with coshelf.open(strangers, flush_interval=0.01) as shelf:
        shelf["later"] = 1
        state = shelf._handle.engine._environment.page.delta  # type: ignore[attr-defined]
        assert 0 <= state.last_flush < 1e18


def test_delta_of_one_s_own_is_not_looked_at(strangers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take time."""
    looked: list[str] = []
    monkeypatch.setattr(check, "first_problem", lambda *_: looked.append("walked"))
    monkeypatch.setattr(check, "is_own", lambda *_: True)
    with coshelf.open(strangers) as shelf:
        assert shelf["new", 149] == "n" * 149
    assert not looked
