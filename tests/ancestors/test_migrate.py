"""``coshelf.shelve.migrate``: what belongs to the old shelf is moved, all of it or nothing, and nothing else."""

from __future__ import annotations

import dbm.dumb
import os
import shelve as original
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf import shelve
from coshelf.dropin import old_files

SCRIPTS = Path(__file__).parent / "scripts" / "migrate"

ENTRIES = {f"key {number}": [number] * number for number in range(20)}


def make_dumb(path: str) -> None:
    with original.Shelf(dbm.dumb.open(path, "c")) as shelf:
        shelf.update(ENTRIES)
    with original.Shelf(dbm.dumb.open(path, "c")) as shelf:  # so that there is a .bak
        shelf.update(ENTRIES)


def listed(path: str) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in Path(path).parent.iterdir() if file.is_file()}


def test_files_that_only_have_such_names_stay(path: str) -> None:
    make_dumb(path)
    others = {path + suffix: f"of a program {suffix}".encode() for suffix in (".db", ".json", "-wal", "-journal")}
    for other, content in others.items():
        Path(other).write_bytes(content)
    assert shelve.migrate(path) == len(ENTRIES)
    for other, content in others.items():
        assert Path(other).read_bytes() == content
    name = os.path.basename(path)
    assert set(os.listdir(os.path.dirname(path))) == {
        name,
        *(os.path.basename(other) for other in others),
        *(f"{name}.{suffix}.before-coshelf" for suffix in ("dat", "dir", "bak")),
    }


def test_somebody_elses_file_of_the_very_name_is_in_the_way(path: str) -> None:
    make_dumb(path)
    Path(path).write_bytes(b"a note")
    before = listed(path)
    with pytest.raises(coshelf.NotAShelf, match="in the way"):
        shelve.migrate(path)
    assert listed(path) == before


def test_earlier_old_shelf_is_in_the_way(path: str) -> None:
    make_dumb(path)
    Path(path + ".dat.before-coshelf").write_bytes(b"kept")
    before = listed(path)
    with pytest.raises(coshelf.NotAShelf, match="in the way"):
        shelve.migrate(path)
    assert listed(path) == before


def test_shelf_that_is_written_to_meanwhile_stays_as_it_is(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_dumb(path)
    replace = old_files.replace

    def meanwhile(*arguments: Any) -> None:
        with original.Shelf(dbm.dumb.open(path, "c")) as shelf:
            shelf["new"] = 1
        replace(*arguments)

    monkeypatch.setattr(old_files, "replace", meanwhile)
    with pytest.raises(coshelf.StorageError, match="written to"):
        shelve.migrate(path)
    assert not os.path.exists(path)
    with shelve.open(path) as shelf:
        assert dict(shelf) == ENTRIES | {"new": 1}


def test_old_shelf_that_was_copied_back_stays(path: str) -> None:
    make_dumb(path)
    shelve.migrate(path)
    for suffix in (".dat", ".dir"):
        Path(path + suffix).write_bytes(Path(path + suffix + ".before-coshelf").read_bytes())
    assert shelve.migrate(path) == len(ENTRIES)
    assert os.path.exists(path + ".dat")
    assert os.path.exists(path + ".dir")


def test_permission_bits_and_links_stay(path: str) -> None:
    make_dumb(path)
    for suffix in (".dat", ".dir", ".bak"):
        os.chmod(path + suffix, 0o600)
    os.rename(path + ".dat", path + ".elsewhere")
    os.symlink(path + ".elsewhere", path + ".dat")
    assert shelve.migrate(path) == len(ENTRIES)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.path.islink(path + ".dat.before-coshelf")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_shelf_that_root_converts_stays_its_owners(path: str) -> None:
    make_dumb(path)
    for suffix in (".dat", ".dir", ".bak"):
        os.chown(path + suffix, 1234, 1235)
    shelve.migrate(path)
    assert (os.stat(path).st_uid, os.stat(path).st_gid) == (1234, 1235)


KILLED = SCRIPTS / "migrates_and_dies.py"


@pytest.mark.parametrize("links", ["with links", "without links"])
def test_conversion_that_is_killed_at_any_step_can_be_finished(links: str, tmp_path: Path) -> None:
    finished = 0
    for step in range(1, 30):
        directory = tmp_path / str(step)
        directory.mkdir()
        path = str(directory / "my shelf")
        make_dumb(path)
        old = listed(path)
        Path(path + ".db").write_bytes(b"somebody else's")
        done = subprocess.run(
            [sys.executable, KILLED, path, str(step), links], capture_output=True, text=True, timeout=300
        )
        assert done.returncode in (0, 9), done.stderr
        with shelve.open(path, "r") as shelf:
            assert dict(shelf) == ENTRIES
        assert shelve.migrate(path) == len(ENTRIES)
        with coshelf.open(path, "r") as native:
            assert dict(native) == ENTRIES
        found = listed(path)
        for name, content in old.items():
            assert name not in found
            assert found[name + ".before-coshelf"] == content
        assert found["my shelf.db"] == b"somebody else's"
        finished += done.returncode == 0
        if finished:
            break
    assert step > 6
    assert finished


def test_failure_in_the_middle_leaves_everything_as_it_was(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_dumb(path)
    before = listed(path)
    link = os.link
    seen = []

    def fails(source: str, *rest: Any, **options: Any) -> None:
        if source.startswith(path + ".d"):
            seen.append(source)
            if len(seen) == 2:
                raise OSError(28, "No space left on device")
        link(source, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", fails)
        with pytest.raises(OSError, match="No space"):
            shelve.migrate(path)
    assert listed(path) == before
    assert shelve.migrate(path) == len(ENTRIES)


# --- a single file ---------------------------------------------------------------------------------------------------

KILLED_WRITER = SCRIPTS / "killed_writer.py"


def test_what_a_killed_writer_left_in_sqlites_log_goes_along(path: str) -> None:
    pytest.importorskip("dbm.sqlite3")
    subprocess.run([sys.executable, KILLED_WRITER, path], timeout=300)
    assert os.path.getsize(path + "-wal")
    assert shelve.migrate(path) == 2
    name = os.path.basename(path)
    assert sorted(os.listdir(os.path.dirname(path))) == [name, name + ".before-coshelf"]
    with shelve.open(path) as shelf:
        assert dict(shelf) == {"a": 1, "b": [2]}
    with shelve.open(path + ".before-coshelf", "r") as shelf:
        assert dict(shelf) == {"a": 1, "b": [2]}


def test_sqlite_shelf_that_is_open_elsewhere_stays_as_it_is(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite = pytest.importorskip("dbm.sqlite3")
    monkeypatch.setattr("coshelf.dropin.migration._PATIENCE", 0.1)
    with original.Shelf(sqlite.open(path, "c")) as shelf:
        shelf["a"] = 1
        with pytest.raises(coshelf.StorageError):
            shelve.migrate(path)
        assert shelf["a"] == 1
    assert shelve.migrate(path) == 1


def test_link_to_a_shelf_of_one_file_stays_a_link(path: str) -> None:
    sqlite = pytest.importorskip("dbm.sqlite3")
    with original.Shelf(sqlite.open(path + " itself", "c")) as shelf:
        shelf["a"] = 1
    os.symlink(path + " itself", path)
    assert shelve.migrate(path) == 1
    assert os.path.islink(path)
    with shelve.open(path) as ours:
        assert dict(ours) == {"a": 1}
    with sqlite3.connect(path + " itself.before-coshelf") as kept:
        assert kept.execute("SELECT count(*) FROM Dict").fetchone() == (1,)
    kept.close()


@pytest.mark.parametrize("kind", ["gnu", "ndbm"])
def test_shelf_of_each_module_is_converted(kind: str, path: str) -> None:
    module = pytest.importorskip(f"dbm.{kind}")
    with original.Shelf(module.open(path, "c")) as shelf:
        shelf.update(ENTRIES)
    before = listed(path)
    assert shelve.migrate(path) == len(ENTRIES)
    found = listed(path)
    assert {name + ".before-coshelf" for name in before} == found.keys() - {os.path.basename(path)}
    with shelve.open(path) as ours:
        assert dict(ours) == ENTRIES
