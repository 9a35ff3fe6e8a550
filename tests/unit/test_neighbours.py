"""What lies beside a shelf and is not its own stays as it is, whatever its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.engines.lmdb.delta.state import LOG
from coshelf.engines.lmdb.files import creation
from coshelf.engines.lmdb.files.sidecar_directory import blob_directory, delta_path, sidecar_directory, state_path

SUFFIXES = ["-state", "-lock", "-delta", "-delta-lock", "-delta-1", "-delta-1-lock", "-blobs", ".new", "-wal", "-shm"]


@pytest.mark.parametrize("flag", ["r", "w", "c", "n"])
def test_files_of_the_users_stay_whatever_they_are_called(flag: Any, tmp_path: Path) -> None:
    path = tmp_path / "bot"
    coshelf.open(path).close()
    names = [f"bot{suffix}" for suffix in SUFFIXES]
    names += [".bot.settings.new", ".bot.coshelf-settings", ".bot.coshelf-settings.new", ".bot-state"]
    for name in names:
        (tmp_path / name).write_text(name)
    with coshelf.open(path, flag) as shelf:
        if flag != "r":
            shelf["a"] = bytearray(b"x" * 3_000_000)
            shelf.sync()
            shelf.compact()
            del shelf["a"]
    assert sorted(os.listdir(tmp_path)) == sorted([*names, "bot"])
    assert all((tmp_path / name).read_text() == name for name in names)


def test_shelves_with_any_two_names_lie_side_by_side(tmp_path: Path) -> None:
    names = ["bot", ".bot", "bot.coshelf", *(f"bot{suffix}" for suffix in SUFFIXES)]
    names += ["x" * length for length in range(120, 256, 15)] + ["y" + "x" * 254, "." + "x" * 254]
    shelves = [coshelf.open(tmp_path / name) for name in names]
    for number, shelf in enumerate(shelves):
        shelf["number"] = number
        shelf["large"] = bytearray(number.to_bytes(1, "big") * 2_000_000)
    for shelf in shelves:
        shelf.close()
    for number, name in enumerate(names):
        with coshelf.open(tmp_path / name) as shelf:
            assert shelf["number"] == number
            assert bytes(shelf["large"]) == number.to_bytes(1, "big") * 2_000_000
            del shelf["large"]
    assert sorted(os.listdir(tmp_path)) == sorted(names)


@pytest.mark.parametrize("name", [".bot.coshelf", "bot.coshelf-blobs", ".bot.coshelf-abcdefgh.new"])
def test_a_name_that_another_shelf_needs_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(coshelf.NotAShelf, match="beside shelves"):
        coshelf.open(tmp_path / name)
    with coshelf.open(tmp_path / "a") as shelf, pytest.raises(coshelf.NotAShelf, match="beside shelves"):
        shelf.backup(tmp_path / name)
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("flag", ["r", "w", "c", "n"])
@pytest.mark.parametrize("kind", ["file", "link", "directory"])
def test_something_else_in_the_place_of_the_directory_is_an_error_that_names_it(
    kind: str, flag: Any, tmp_path: Path
) -> None:
    path, directory = tmp_path / "bot", tmp_path / ".bot.coshelf"
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    if kind == "file":
        directory.write_text("notes")
    elif kind == "link":
        (tmp_path / "elsewhere").mkdir()
        directory.symlink_to("elsewhere")
    else:
        directory.mkdir()
        (directory / "state").write_text("notes")
        (directory / "diary").write_text("notes")
    before = picture(tmp_path)
    with pytest.raises(coshelf.NotAShelf, match=r"\.bot\.coshelf"):
        coshelf.open(path, flag)
    assert picture(tmp_path) == before


def test_files_of_others_in_the_directory_stay_and_keep_nobody_out(tmp_path: Path) -> None:
    path, directory = tmp_path / "bot", tmp_path / ".bot.coshelf"
    for turn in range(3):
        with coshelf.open(path) as shelf:
            shelf["turn"] = turn
            (directory / "thumbs").write_text("kept")
    with coshelf.open(path) as shelf:
        assert shelf["turn"] == 2
    assert sorted(os.listdir(directory)) == ["state", "thumbs"]
    (directory / "thumbs").unlink()
    coshelf.open(path).close()
    assert os.listdir(tmp_path) == ["bot"]


def test_what_is_no_shelf_in_the_making_is_not_swept_away(tmp_path: Path) -> None:
    begun = tmp_path / ".bot.coshelf-aaaaaaaa.new"
    notes, zeros, link = (tmp_path / f".bot.coshelf-{letter * 8}.new" for letter in "bcd")
    coshelf.open(tmp_path / "other").close()
    begun.write_bytes((tmp_path / "other").read_bytes())
    notes.write_text("notes")
    zeros.write_bytes(bytes(8192))
    link.symlink_to("bot")
    creation.sweep(str(tmp_path / "bot"))
    assert sorted(os.listdir(tmp_path)) == sorted([notes.name, link.name, "other"])


def test_a_file_system_without_links_is_opened_by_those_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.symlink
    made = []

    def symlink(target: str, name: str) -> None:
        if sidecar_directory(str(tmp_path / "bot")) in name:
            raise PermissionError(1, "no links here", name)
        made.append(name)
        link(target, name)

    monkeypatch.setattr(os, "symlink", symlink)
    with coshelf.open(tmp_path / "bot") as shelf:
        shelf["a"] = 1
        kind = shelf._handle.engine._environment.page.delta.identity().kind  # type: ignore[attr-defined]
        of_table = set() if kind == LOG else {"delta-lock"}
        assert set(os.listdir(tmp_path / ".bot.coshelf")) == {"base-lock", "delta", "state"} | of_table
        with coshelf.open(tmp_path / "bot", "r") as other:
            assert other["a"] == 1
    assert made
    assert not any(os.path.lexists(name) for name in made)
    assert os.listdir(tmp_path) == ["bot"]


def test_names_are_never_too_long_and_never_those_of_another_shelf() -> None:
    names = [f"/d/{dots}{'ä' * number}{end}" for dots in ("", ".") for number in range(128) for end in ("", "b")][1:]
    names = [name for name in names if len(os.fsencode(os.path.basename(name))) <= 255 and not name.endswith("/.")]
    taken: set[str] = set()
    for name in names:
        ours = {sidecar_directory(name), blob_directory(name)}
        assert len(ours) == 2 and not ours & taken
        assert all(len(os.fsencode(os.path.basename(each))) <= 143 for each in ours)
        taken |= ours
    assert not taken & set(names)
    assert state_path("/d/a") != delta_path("/d/a", 0) != delta_path("/d/a", 1)


def picture(place: Path) -> dict[str, Any]:
    return {
        str(each): (each.lstat().st_mode, each.lstat().st_ino, each.read_bytes() if each.is_file() else None)
        for each in place.rglob("*")
    }


def test_a_file_among_the_blobs_that_is_none_stays(tmp_path: Path) -> None:
    """Whatever its name: that of a blob which nothing names any more, or of one that a copy is to have."""
    path, copy = tmp_path / "bot", tmp_path / "copy"
    with coshelf.open(path) as shelf:
        shelf["a"] = bytearray(b"x" * 3_000_000)
        shelf.sync()
        [blob] = [each for each in Path(blob_directory(str(path))).iterdir() if each.name != "writers"]
        Path(blob_directory(str(copy))).mkdir()
        (Path(blob_directory(str(copy))) / blob.name).write_text("notes")
        with pytest.raises(coshelf.NotAShelf, match=blob.name):
            shelf.backup(copy)
        blob.unlink()
        blob.write_text("notes")
        del shelf["a"]
        shelf.sync()
        shelf.compact()
    assert blob.read_text() == "notes"
    assert (Path(blob_directory(str(copy))) / blob.name).read_text() == "notes"
    assert not copy.exists()
