"""The sqlite engine among kills, forks, foreign programs and foreign files."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.errors import (
    DamagedRecord,
    DamagedShelf,
    FormatTooNew,
    NotAShelf,
    ShelfClosed,
    ShelfLocked,
    ShelfNotFound,
    StorageError,
    UnsafeFilesystem,
    UntrustedValue,
)
from starting import Program, words_of

SCRIPTS = Path(__file__).parent / "scripts" / "sqlite_counts"

COUNT = SCRIPTS / "counts_in_sqlite.py"


class Mine:
    """No plain data."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def shelf(path: Path) -> Iterator[coshelf.Shelf[Any, Any]]:
    with coshelf.open(f"sqlite:{path}") as shelf:
        yield shelf


def start(program: Program, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, *words_of(program), f"sqlite:{path}"], stdout=subprocess.PIPE, text=True)


def in_child(check: Any) -> None:
    """Run a check in a forked child; it must hold there."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            check()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_killed_writers_lose_no_update_and_lock_nobody_out(shelf: coshelf.Shelf[Any, Any], path: Path) -> None:
    writers = [start(COUNT, path) for _ in range(4)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "counted\n"
    time.sleep(0.3)
    counted = len(writers)
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
        counted += writer.communicate()[0].count("counted\n")
    assert counted <= shelf["count"] <= counted + len(writers)
    shelf["count"] = 0
    assert shelf.check().ok


def test_child_and_parent_go_on_after_a_fork(shelf: coshelf.Shelf[Any, Any]) -> None:
    shelf["a"] = 1

    def check() -> None:
        assert shelf["a"] == 1
        shelf["b"] = 2

    in_child(check)
    assert shelf["b"] == 2
    shelf["c"] = 3
    assert dict(shelf) == {"a": 1, "b": 2, "c": 3}


def test_child_of_a_process_that_was_reading_is_told_so(shelf: coshelf.Shelf[Any, Any]) -> None:
    shelf["a"] = 1
    with shelf.snapshot() as snapshot:

        def check() -> None:
            with pytest.raises(ShelfClosed):
                snapshot["a"]
            with pytest.raises(StorageError, match="forked"):
                shelf["a"]

        in_child(check)
        shelf["a"] = 2
        assert snapshot["a"] == 1
    in_child(lambda: shelf.__setitem__("a", 3))
    assert shelf["a"] == 3


def test_waiting_wakes_when_another_process_commits(shelf: coshelf.Shelf[Any, Any], path: Path) -> None:
    waiting = start("import sys, coshelf; print(coshelf.open(sys.argv[1]).wait('a', 300))", path)
    shelf["a"] = "here"
    assert waiting.communicate(timeout=300)[0] == "here\n"


def test_writer_that_knows_nothing_of_coshelf_is_waited_for_with_a_limit(path: Path) -> None:
    with coshelf.open(f"sqlite:{path}", timeout=0.1) as shelf:
        shelf["a"] = 1
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ShelfLocked):
            shelf["a"] = 2
        assert shelf["a"] == 1
        other.execute("ROLLBACK")
        other.close()
        shelf["a"] = 2


@pytest.mark.parametrize("content", [b"", b"text " * 1000, bytes(4096), b"SQLite format 3\0" + bytes(4080)])
def test_what_is_no_shelf_is_refused_and_unchanged(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises((NotAShelf, DamagedShelf)):
        coshelf.open(f"sqlite:{path}")
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_unchanged(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE entries (key, record)")
    other.close()
    before = path.read_bytes()
    for flag in ("c", "n", "w", "r"):
        with pytest.raises(NotAShelf):
            coshelf.open(f"sqlite:{path}", flag)  # type: ignore[call-overload]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM entries; END", DamagedShelf),
        ("DROP TABLE shelf", DamagedShelf),
        ("DELETE FROM shelf", DamagedShelf),
        ("PRAGMA user_version = 2", FormatTooNew),
    ],
)
def test_file_with_more_or_less_than_a_shelf_has_is_refused(path: Path, statement: str, error: type) -> None:
    coshelf.open(f"sqlite:{path}").close()
    other = sqlite3.connect(path)
    other.execute(statement)
    other.commit()
    other.close()
    with pytest.raises(error):
        coshelf.open(f"sqlite:{path}")


def test_records_that_others_wrote_are_damage(shelf: coshelf.Shelf[Any, Any], path: Path) -> None:
    shelf.update(a=1, b=2, c=3)
    other = sqlite3.connect(path)
    other.execute("UPDATE entries SET record = x'00' WHERE key = ?", (b"0a",))
    other.execute(
        "UPDATE entries SET record = (SELECT record FROM entries WHERE key = ?) WHERE key = ?", (b"0c", b"0b")
    )
    other.commit()
    other.close()
    for key in "ab":
        with pytest.raises(DamagedRecord):
            shelf[key]
    assert shelf["c"] == 3
    shelf.update(a=1, b=2)
    assert dict(shelf) == {"a": 1, "b": 2, "c": 3}


def test_keys_and_records_of_other_types_are_damage(shelf: coshelf.Shelf[Any, Any], path: Path) -> None:
    shelf.update(a=1, b=2)
    other = sqlite3.connect(path)
    other.execute("UPDATE entries SET record = 'a text that is long enough for one' WHERE key = ?", (b"0a",))
    other.commit()
    for read in (list, dict, lambda mapping: mapping["a"], lambda mapping: list(mapping.items()), coshelf.Shelf.stats):
        if read is not list:
            with pytest.raises(DamagedRecord):
                read(shelf)
    assert list(shelf) == ["a", "b"]
    assert shelf["b"] == 2
    # An index of bytes that were damaged on disk gives a key of any type.
    other.execute("CREATE TABLE others (key PRIMARY KEY, record) WITHOUT ROWID")
    other.execute("INSERT INTO others SELECT key, record FROM entries UNION ALL SELECT CAST('0c' AS TEXT), NULL")
    other.execute("DROP TABLE entries")
    other.execute("ALTER TABLE others RENAME TO entries")
    other.commit()
    other.close()
    with coshelf.open("memory:") as target, pytest.raises(DamagedShelf):
        target.update(shelf)


def test_schema_that_is_not_utf8_is_damage(path: Path) -> None:
    coshelf.open(f"sqlite:{path}").close()
    path.write_bytes(path.read_bytes().replace(b"tableshelfshelf", b"tablesh\xdflfshelf"))
    with pytest.raises(DamagedShelf):
        coshelf.open(f"sqlite:{path}")


def test_own_shelf_is_trusted_and_its_copy_is_not(path: Path) -> None:
    with coshelf.open(f"sqlite:{path}") as shelf:
        shelf["a"] = Mine
        assert shelf["a"] is Mine
    shutil.copy(path, path.with_name("copy.db"))
    with coshelf.open(f"sqlite:{path}") as shelf:
        assert shelf["a"] is Mine
    with coshelf.open(f"sqlite:{path.with_name('copy.db')}") as shelf, pytest.raises(UntrustedValue):
        shelf["a"]


def test_shelf_that_a_group_may_write_is_plain_data(path: Path) -> None:
    with coshelf.open(f"sqlite:{path}", mode=0o666, trust=False) as shelf:
        shelf["a"] = Mine
        with pytest.raises(UntrustedValue):
            _ = coshelf.open(f"sqlite:{path}")["a"]
        modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        assert modes == {0o666}


def test_signature_is_bound_to_the_shelf(path: Path) -> None:
    with coshelf.open(f"sqlite:{path}", sign=b"s" * 16) as shelf:
        shelf["a"] = 1
        assert shelf["a"] == 1
    assert coshelf.open(f"sqlite:{path}", sign=b"s" * 16)["a"] == 1


def test_network_file_systems_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coshelf.system.file_systems.kinds.type_of", lambda path: "nfs4")
    with pytest.raises(UnsafeFilesystem):
        coshelf.open(f"sqlite:{path}")
    assert not path.exists()


def test_missing_directories_are_said(tmp_path: Path) -> None:
    with pytest.raises(ShelfNotFound):
        coshelf.open(f"sqlite:{tmp_path}/none/a.db")


def test_last_close_leaves_the_file_and_its_lock(path: Path) -> None:
    with coshelf.open(f"sqlite:{path}") as shelf:
        shelf.update({number: number for number in range(1000)})
    assert sorted(each.name for each in path.parent.iterdir()) == [".a.db.coshelf-lock", "a.db"]


def test_compacting_and_care(shelf: coshelf.Shelf[Any, Any], path: Path) -> None:
    shelf.update(dict.fromkeys(range(10_000), "some text"))
    shelf.clear()
    done = shelf.compact()
    assert done.after < done.before / 5
    shelf["a"] = 1
    assert shelf.info().trusted
    assert shelf.backup(path.with_name("copy.shelf")) == 1


def test_lmdb_is_not_needed(path: Path) -> None:
    code = (
        "import sys; sys.modules['lmdb'] = None; import coshelf; s = coshelf.open(sys.argv[1]); s['a'] = 1;"
        "print(dict(s)); s.close()"
    )
    assert start(code, path).communicate(timeout=300)[0] == "{'a': 1}\n"


def test_to_ask_for_exposure_keeps_the_locks_that_this_process_has_on_the_file(
    shelf: coshelf.Shelf[Any, Any], path: Path
) -> None:
    attempt = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    engine: Any = shelf._handle.engine
    with path.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert engine.exposure() is None
        tried = subprocess.run([sys.executable, "-c", attempt, str(path)], capture_output=True, text=True, check=False)
    assert "BlockingIOError" in tried.stderr
