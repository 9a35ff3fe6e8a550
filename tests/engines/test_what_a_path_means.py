"""What a path means: the content of a file chooses the engine, and the system that of a new file."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import coshelf
import coshelf.dbm
from coshelf.engines.beginnings import first_bytes, kind_at
from coshelf.system.locks import whole_file

IN_ANOTHER_PROCESS = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    database.execute(sys.argv[2]).fetchall()
except sqlite3.OperationalError as error:
    print(error)
else:
    print("done")
"""


@pytest.fixture
def in_sqlite(tmp_path: Path) -> Path:
    """A shelf in a SQLite file whose name says nothing of it."""
    path = tmp_path / "recipes.shelf"
    with coshelf.open(f"sqlite:{path}") as shelf:
        shelf["hello"] = 15
    return path


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system without the locks of POSIX."""
    monkeypatch.setattr(whole_file, "has_flock", False)


def engine_of(shelf: coshelf.Shelf[Any, Any]) -> str:
    return str(shelf._handle.engine.name)


def said_elsewhere(path: Path, statement: str) -> str:
    """What another process is told that runs a statement on a database, and waits for no lock."""
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, str(path), statement], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


# --- the content chooses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [str, os.fsencode, Path], ids=["str", "bytes", "Path"])
@pytest.mark.parametrize("flag", ["r", "w", "c"])
def test_shelf_in_a_sqlite_file_opens_by_its_path(given: Callable[[Any], Any], flag: Any, in_sqlite: Path) -> None:
    with coshelf.open(given(in_sqlite), flag) as shelf:
        assert engine_of(shelf) == "sqlite"
        assert dict(shelf) == {"hello": 15}


def test_shelf_in_a_sqlite_file_opens_by_a_link(in_sqlite: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(in_sqlite)
    with coshelf.open(tmp_path / "link") as shelf:
        assert dict(shelf) == {"hello": 15}


def test_new_file_is_one_of_the_lmdb_engine(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "recipes.db") as shelf:
        assert engine_of(shelf) == "lmdb"
    with coshelf.open(tmp_path / "recipes.db", "r") as shelf:
        assert engine_of(shelf) == "lmdb"


def test_shelf_that_is_emptied_keeps_its_engine(in_sqlite: Path) -> None:
    with coshelf.open(in_sqlite, "n") as shelf:
        assert engine_of(shelf) == "sqlite"
        assert not shelf


def test_path_of_one_engine_is_refused_under_the_url_of_another(in_sqlite: Path, tmp_path: Path) -> None:
    coshelf.open(tmp_path / "plain").close()
    with pytest.raises(coshelf.NotAShelf):
        coshelf.open(f"lmdb:{in_sqlite}")
    with pytest.raises(coshelf.NotAShelf):
        coshelf.open(f"sqlite:{tmp_path / 'plain'}")


def test_database_that_is_no_shelf_is_refused_and_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE people (name)")
        database.commit()
        beside = sorted(tmp_path.iterdir())
        before = path.read_bytes()
        with pytest.raises(coshelf.NotAShelf, match="is a SQLite database, not a shelf"):
            coshelf.open(path, "n")
        assert sorted(tmp_path.iterdir()) == beside
        assert path.read_bytes() == before


def test_check_goes_by_the_content_and_salvage_refuses(in_sqlite: Path, tmp_path: Path) -> None:
    report = coshelf.check(in_sqlite)
    assert report.ok
    assert report.entries == 1
    with pytest.raises(coshelf.Unsupported, match="a SQLite database"):
        coshelf.salvage(in_sqlite, tmp_path / "salvaged")
    assert not (tmp_path / "salvaged").exists()


def test_door_of_dbm_knows_and_empties_such_a_shelf(in_sqlite: Path) -> None:
    assert coshelf.dbm.whichdb(in_sqlite) == "coshelf.dbm"
    inode = in_sqlite.stat().st_ino
    with coshelf.dbm.open(in_sqlite, "n") as database:
        assert list(database.keys()) == []
    assert in_sqlite.stat().st_ino == inode, "it is emptied, and not another file"
    assert kind_at(str(in_sqlite)) == "sqlite shelf"


def test_backup_replaces_no_shelf_of_the_other_engine(in_sqlite: Path) -> None:
    with coshelf.open("memory:") as shelf, pytest.raises(coshelf.NotAShelf, match="of the sqlite engine"):
        shelf.backup(in_sqlite, overwrite=True)
    with coshelf.open(in_sqlite, "r") as shelf:
        assert dict(shelf) == {"hello": 15}


# --- locks of SQLite in this process ---------------------------------------------------------------------------------


def test_looking_at_an_open_shelf_leaves_the_locks_of_sqlite(in_sqlite: Path) -> None:
    alone = "PRAGMA journal_mode = DELETE"  # needs the database for itself
    with coshelf.open(in_sqlite) as shelf:
        shelf["more"] = 16
        assert "locked" in said_elsewhere(in_sqlite, alone)
        assert kind_at(str(in_sqlite)) == "sqlite shelf"
        assert first_bytes(str(in_sqlite), 16) is None
        with coshelf.open(in_sqlite) as second:
            second["more"] = 17
        assert "locked" in said_elsewhere(in_sqlite, alone)


def test_url_of_lmdb_and_backups_leave_the_locks_of_sqlite(in_sqlite: Path) -> None:
    alone = "PRAGMA journal_mode = DELETE"
    with coshelf.open(in_sqlite) as shelf, coshelf.open("memory:") as other:
        shelf["more"] = 16
        with pytest.raises(coshelf.NotAShelf, match="of the sqlite engine"):
            coshelf.open(f"lmdb:{in_sqlite}")
        with pytest.raises(coshelf.NotAShelf, match="of the sqlite engine"):
            other.backup(in_sqlite, overwrite=True)
        assert "locked" in said_elsewhere(in_sqlite, alone)


def test_doors_that_refuse_a_database_of_the_program_leave_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database, coshelf.open("memory:") as shelf:
        database.execute("CREATE TABLE people (name)")
        database.execute("BEGIN IMMEDIATE")
        with pytest.raises(coshelf.NotAShelf):
            shelf.backup(path, overwrite=True)
        with pytest.raises(coshelf.NotAShelf):
            coshelf.open(f"lmdb:{path}", "n")
        assert coshelf.dbm.whichdb(path) == ("dbm.sqlite3" if sys.version_info >= (3, 13) else "")
        assert "locked" in said_elsewhere(path, "BEGIN IMMEDIATE")
        database.execute("COMMIT")


@pytest.mark.parametrize("statements", [["BEGIN IMMEDIATE"], ["BEGIN", "SELECT * FROM people"]], ids=["write", "read"])
def test_transaction_of_the_program_that_has_written_nothing_keeps_its_lock(
    statements: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TABLE people (name)")
        for statement in statements:
            database.execute(statement).fetchall()
        with pytest.raises(coshelf.NotAShelf):
            coshelf.open(path)
        assert "locked" in said_elsewhere(path, "BEGIN EXCLUSIVE")
        database.execute("COMMIT")


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_looking_at_a_database_of_the_program_leaves_its_locks(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f"PRAGMA journal_mode = {mode}").fetchall()
        database.execute("CREATE TABLE people (name)")
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO people VALUES ('Ann')")
        with pytest.raises(coshelf.NotAShelf):
            coshelf.open(path)
        assert "locked" in said_elsewhere(path, "INSERT INTO people VALUES ('Bob')")
        database.execute("COMMIT")


@pytest.mark.parametrize("length", [72, 512, 1_000, 4_096, 5_000])
def test_shelf_that_has_been_cut_off_is_still_known(length: int, in_sqlite: Path) -> None:
    os.truncate(in_sqlite, length)
    assert kind_at(str(in_sqlite)) == "sqlite shelf"
    with pytest.raises(coshelf.DamagedShelf):
        coshelf.open(in_sqlite)


def test_text_is_no_database_however_short(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("milk")
    assert kind_at(str(tmp_path / "note")) == "other"
    (tmp_path / "long").write_text("milk" * 1_000)
    assert kind_at(str(tmp_path / "long")) == "other"


def test_file_of_another_kind_is_read_though_its_neighbour_has_such_a_name(tmp_path: Path) -> None:
    coshelf.open(tmp_path / "plain").close()
    (tmp_path / "plain-journal").write_text("a diary")
    assert kind_at(str(tmp_path / "plain")) == "lmdb"
    coshelf.open(tmp_path / "plain").close()
    assert (tmp_path / "plain-journal").read_text() == "a diary"


# --- one name for one file -------------------------------------------------------------------------------------------


def test_hard_link_of_a_shelf_that_this_process_has_open_is_refused(in_sqlite: Path) -> None:
    link = in_sqlite.with_name("second name")
    with coshelf.open(in_sqlite) as shelf:
        os.link(in_sqlite, link)
        with pytest.raises(coshelf.OpenUnderAnotherName):
            coshelf.open(link)
        shelf["hello"] = 16
    with coshelf.open(link) as shelf:
        assert dict(shelf) == {"hello": 16}


# --- where the lmdb engine cannot run --------------------------------------------------------------------------------


@pytest.mark.usefixtures("elsewhere")
def test_new_file_is_one_of_the_sqlite_engine_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "recipes.shelf"
    with coshelf.open(path) as shelf:
        assert engine_of(shelf) == "sqlite"
        shelf["hello"] = 15
        with shelf.lock("door"):
            shelf.queue("jobs").put(1)
    assert kind_at(str(path)) == "sqlite shelf"


@pytest.fixture
def of_lmdb(tmp_path: Path) -> Iterator[Path]:
    """A shelf of the lmdb engine, which must not change."""
    path = tmp_path / "old.shelf"
    with coshelf.open(path) as shelf:
        shelf["hello"] = 15
    before = path.read_bytes()
    yield path
    assert path.read_bytes() == before


@pytest.mark.parametrize("flag", ["r", "w", "c", "n"])
def test_shelf_of_the_lmdb_engine_is_refused_elsewhere_with_the_way_out(
    flag: Any, of_lmdb: Path, elsewhere: None
) -> None:
    with pytest.raises(coshelf.Unsupported, match="coshelf copy OLD sqlite:NEW"):
        coshelf.open(of_lmdb, flag)
    with pytest.raises(coshelf.Unsupported, match="cannot run here"):
        coshelf.salvage(of_lmdb, of_lmdb.with_name("salvaged"))


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("target", ["lmdb:{}/a", "files:{}/a", "{}/a/"])
def test_engines_that_need_posix_say_so(target: str, tmp_path: Path) -> None:
    with pytest.raises(coshelf.Unsupported, match="engine cannot run here"):
        coshelf.open(target.format(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_backup_elsewhere_opens_on_every_system(
    in_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy.shelf"
    with monkeypatch.context() as patch:
        patch.setattr(whole_file, "has_flock", False)
        with coshelf.open(in_sqlite) as shelf:
            shelf.update({f"key {number}": number for number in range(1_000)})
            told: list[tuple[int, int]] = []
            assert shelf.backup(copy, progress=lambda done, total: told.append((done, total))) == 1_001
            assert told[-1] == (1_001, 1_001)
            with pytest.raises(coshelf.ShelfExists):
                shelf.backup(copy)
            with pytest.raises(coshelf.ShelfExists):
                shelf.backup(in_sqlite, overwrite=True)
            shelf["hello"] = 16
            assert shelf.backup(copy, overwrite=True) == 1_001
            versions = {key: entry.version for key, entry in shelf._handle.engine.scan(b"\x10", b"\xff") if entry}
    with coshelf.open(copy) as copied:
        engine = copied._handle.engine
        assert engine.name == "sqlite"
        assert copied["hello"] == 16
        assert {key: entry.version for key, entry in engine.scan(b"\x10", b"\xff") if entry} == versions
        copied["hello"] = 17
        assert copied.check().ok
    assert copy.stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("what", ["open", "text", "directory"])
def test_what_a_backup_must_not_replace_stays_elsewhere(what: str, in_sqlite: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with coshelf.open("memory:") as shelf:
        if what == "open":
            with coshelf.open(in_sqlite) as other:
                with pytest.raises(coshelf.ShelfLocked):
                    shelf.backup(in_sqlite, overwrite=True)
                other["more"] = 16
                assert dict(other) == {"hello": 15, "more": 16}
            return
        target.write_text("not a shelf") if what == "text" else target.mkdir()
        with pytest.raises(coshelf.NotAShelf):
            shelf.backup(target, overwrite=True)
    assert target.is_dir() or target.read_text() == "not a shelf"


def test_damaged_entry_is_not_passed_on_elsewhere(in_sqlite: Path, tmp_path: Path, elsewhere: None) -> None:
    with closing(sqlite3.connect(in_sqlite)) as database:
        database.execute("UPDATE entries SET record = zeroblob(length(record)) WHERE key >= x'10'")
        database.commit()
    with coshelf.open(in_sqlite) as shelf, pytest.raises(coshelf.DamagedRecord):
        shelf.backup(tmp_path / "copy")
    assert [each for each in tmp_path.iterdir() if "copy" in each.name] == []
