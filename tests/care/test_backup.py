"""A backup is one instant of a shelf that others write, and there whole or not at all."""

from __future__ import annotations

import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import Crew

import coshelf
from coshelf.trust import marks

SCRIPTS = Path(__file__).parent / "scripts" / "backup"

ENTRIES: dict[Any, Any] = {
    "a": 1,
    b"b": [2],
    ("t", 3): {"x": 3},
    4.5: None,
    "long" * 500: "value of a long key",
    "long" * 500 + "er": "another",
    "large": b"x" * 300_000,
}


def is_trusted(path: str) -> bool:
    with coshelf.open(path, "r") as shelf:
        return shelf._handle.engine.distrust() is None


def store_id(path: str) -> bytes:
    with coshelf.open(path, "r") as shelf:
        return shelf._handle.engine.row.store_id


def test_backup_has_what_the_shelf_has(path: str) -> None:
    copy = path + ".copy"
    with coshelf.open(path) as shelf:
        shelf.update(ENTRIES)
        shelf["gone"] = 1
        shelf.sync()
        del shelf["gone"]
        shelf["a"] = "newest"
        assert shelf.backup(copy) == len(ENTRIES)
        expected = shelf.copy()
    with coshelf.open(copy, "r") as copied:
        assert dict(copied) == expected
        assert len(copied) == len(ENTRIES)
        assert copied["a"] == "newest"


def test_backup_has_the_id_and_the_versions_of_the_first(path: str) -> None:
    copy = path + ".copy"
    with coshelf.open(path) as shelf:
        shelf.update(ENTRIES)
        shelf["b"] = 1
        shelf.backup(copy)
        versions = {key: entry.version for key, entry in shelf._handle.engine.scan(b"\x10", b"\xff")}
    assert store_id(copy) == store_id(path)  # which signatures are bound to
    with coshelf.open(copy) as copied:
        engine = copied._handle.engine
        assert {key: entry.version for key, entry in engine.scan(b"\x10", b"\xff")} == versions
        copied["new"] = 1
        newest = engine.get(b"\x30new").version
    assert newest > max(versions.values())


def test_backup_is_private_and_trusted(path: str) -> None:
    with coshelf.open(path, mode=0o660) as shelf:
        shelf["a"] = 1
        shelf.backup(path + ".copy")
    assert stat.S_IMODE(os.stat(path + ".copy").st_mode) == 0o600
    assert is_trusted(path + ".copy")
    assert sorted(os.listdir(os.path.dirname(path))) == ["a.shelf", "a.shelf.copy"]


def test_backup_of_a_shelf_that_is_not_trusted_is_not_either(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    os.rename(path, path + ".moved")
    with open(path + ".moved", "rb") as moved, open(path, "wb") as another:
        another.write(moved.read())
    assert not is_trusted(path)
    with coshelf.open(path, "r") as shelf:
        shelf.backup(path + ".copy")
    assert not is_trusted(path + ".copy")


def test_backup_is_trusted_by_a_secret_file(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_bytes(b"sixteen bytes ok")
    monkeypatch.setenv("COSHELF_SECRET_FILE", str(tmp_path / "secret"))
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
        shelf.backup(path + ".copy")
    assert is_trusted(path + ".copy")
    with coshelf.open(path + ".copy") as copied:
        assert dict(copied) == {"a": 1}
        assert copied._handle.engine.get(marks.ROW_KEY) is not None


def test_backup_works_from_a_shelf_opened_for_reading(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    with coshelf.open(path, "r") as shelf:
        assert shelf.backup(path + ".copy") == 1


def test_backup_has_the_settings_of_the_shelf(path: str) -> None:
    from coshelf.contract import Batch

    with coshelf.open(path) as shelf:
        engine = shelf._handle.engine
        engine.commit(Batch(puts={b"\x01codec": b"\x02flushed"}))
        shelf.sync()
        engine.commit(Batch(puts={b"\x01layers": b"\x02waiting"}))
        shelf["a"] = 1
        shelf.backup(path + ".copy")
        assert engine.snapshot().count(b"\x10", b"\xff") == 1
    with coshelf.open(path + ".copy", "r") as copied:
        engine = copied._handle.engine
        assert engine.get(b"\x01codec").record.startswith(b"\x02flushed")
        assert engine.get(b"\x01layers").record.startswith(b"\x02waiting")
        assert len(copied) == 1


@pytest.mark.parametrize("kind", ["memory", "mapping", "files"])
def test_shelf_of_any_engine_is_backed_up_to_a_file(kind: str, path: str) -> None:
    target: Any = {"memory": "memory:", "mapping": {}, "files": f"files:{path}.directory"}[kind]
    entries = {"a": 1, "b/c": [2], "d": b"x" * 100_000}
    with coshelf.open(target) as shelf:
        shelf.update(entries)
        assert shelf.backup(path) == 3
    with coshelf.open(path) as copied:
        assert dict(copied) == entries
        copied["more"] = 1
    assert is_trusted(path) == (kind != "mapping")


def test_backup_takes_no_more_room_than_what_is_in_it(path: str) -> None:
    with coshelf.open(path) as shelf:
        for turn in range(10):
            shelf.update({number: bytes([turn]) * 1_000 for number in range(2_000)})
        shelf.update(dict.fromkeys(range(1900), 0))
        shelf.backup(path + ".copy")
    assert os.stat(path + ".copy").st_size < 300_000
    assert os.stat(path).st_size > 2_000_000


def test_progress_is_told_up_to_all(path: str) -> None:
    told: list[tuple[int, int]] = []
    with coshelf.open(path) as shelf:
        shelf.backup(path + ".empty", progress=lambda done, total: told.append((done, total)))
        assert told == [(0, 0)]
        shelf.update(dict.fromkeys(range(1_000), 0))
        shelf.backup(path + ".copy", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (1_000, 1_000)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


# --- what is in the way ----------------------------------------------------------------------------------------------


def test_what_lies_there_is_kept_unless_told_otherwise(path: str) -> None:
    copy = path + ".copy"
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
        shelf.backup(copy)
        shelf["a"] = 2
        with pytest.raises(coshelf.ShelfExists, match="overwrite"):
            shelf.backup(copy)
        with coshelf.open(copy, "r") as copied:
            assert copied["a"] == 1
        shelf.backup(copy, overwrite=True)
        with coshelf.open(copy, "r") as copied:
            assert copied["a"] == 2


@pytest.mark.parametrize("what", ["itself", "link to itself", "text", "directory", "open"])
def test_what_must_not_be_replaced_is_not(what: str, path: str) -> None:
    target = path if what == "itself" else path + ".other"
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
        if what == "link to itself":
            os.symlink(path, target)
        elif what == "text":
            Path(target).write_text("not a shelf")
        elif what == "directory":
            os.mkdir(target)
        elif what == "open":
            other = coshelf.open(target)
        expected = {"text": coshelf.NotAShelf, "directory": coshelf.NotAShelf, "open": coshelf.ShelfLocked}
        with pytest.raises(expected.get(what, coshelf.ShelfExists)):
            shelf.backup(target, overwrite=True)
        if what == "open":
            other["still"] = "there"
            other.close()
        assert dict(shelf) == {"a": 1}
    assert what != "text" or Path(target).read_text() == "not a shelf"


def test_part_of_a_shelf_is_not_backed_up(path: str) -> None:
    with coshelf.open(path) as shelf, pytest.raises(coshelf.Unsupported, match="users/"):
        shelf.sub("users").backup(path + ".copy")


def test_closed_shelf_is_not_backed_up(path: str) -> None:
    shelf = coshelf.open(path)
    shelf.close()
    with pytest.raises(coshelf.ShelfClosed):
        shelf.backup(path + ".copy")


def test_backup_that_fails_leaves_nothing(path: str) -> None:
    def stop(done: int, total: int) -> None:
        raise ZeroDivisionError

    with coshelf.open(path) as shelf:
        shelf["a"] = 1
        before = set(os.listdir(os.path.dirname(path)))
        with pytest.raises(ZeroDivisionError):
            shelf.backup(path + ".copy", progress=stop)
        with pytest.raises(coshelf.ShelfNotFound):
            shelf.backup(path + ".no directory/copy")
        assert set(os.listdir(os.path.dirname(path))) == before


def test_damaged_entry_is_not_passed_on(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update(dict.fromkeys(range(100), "x" * 100) | {"marked": "here I am"})
    content = Path(path).read_bytes()
    assert content.count(b"here I am") == 1
    Path(path).write_bytes(content.replace(b"here I am", b"here 2 am"))
    with coshelf.open(path) as shelf, pytest.raises(coshelf.DamagedRecord, match=r"marked[^$]*salvage") as told:
        shelf.backup(path + ".copy")
    assert told.value.key == "marked"
    assert not os.path.exists(path + ".copy")


# --- beside others ---------------------------------------------------------------------------------------------------

BANK = SCRIPTS / "bank_of_accounts.py"


def test_backup_beside_writers_is_one_instant(path: str, crew: Crew) -> None:
    with coshelf.open(path) as shelf:
        shelf.update(dict.fromkeys(range(50), 100))
        shelf.update({("other", number): b"x" * 500 for number in range(3_000)})
        workers = crew.start_many(4, BANK, path)
        seen = set()
        turns = 0
        while turns < 8 or len(seen) < 2:  # the writers may not have had their turn
            turns += 1
            shelf.backup(path + ".copy", overwrite=True)
            with coshelf.open(path + ".copy", "r") as copied:
                accounts = tuple(copied[number] for number in range(50))
                assert sum(accounts) == 5_000
                seen.add(accounts)
        Path(path + ".stop").touch()
        for worker in workers:
            worker.finish()


BACKUP = """
with coshelf.open(path, "r") as shelf:
    shelf.backup(path + ".copy", overwrite=True)
"""


@pytest.mark.parametrize("point", ["backup-written", "backup-placed"])
@pytest.mark.parametrize("there", [False, True])
def test_killed_backup_is_whole_or_not_there(
    point: str, there: bool, path: str, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = "old"
        if there:
            shelf.backup(path + ".copy")
        shelf["a"] = "new"
    monkeypatch.setenv("COSHELF_FAILPOINTS", f"{point}=kill")
    worker = crew.start(BACKUP, path)
    assert worker.process.wait() == -9
    monkeypatch.delenv("COSHELF_FAILPOINTS")
    if point == "backup-placed" or there:
        with coshelf.open(path + ".copy", "r") as copied:
            assert copied["a"] == ("new" if point == "backup-placed" else "old")
    else:
        assert not os.path.exists(path + ".copy")
    with coshelf.open(path) as shelf:
        shelf.backup(path + ".copy", overwrite=True)
    assert not [name for name in os.listdir(os.path.dirname(path)) if name.endswith(".new")]


def test_records_are_copied_and_never_unpickled(path: str) -> None:
    class Exploding:
        def __reduce__(self) -> Any:
            return eval, ("1/0",)

    with coshelf.open(path) as shelf:
        shelf["bomb"] = Exploding()
        shelf.backup(path + ".copy")
    with coshelf.open(path + ".copy", "r") as copied, pytest.raises(coshelf.UnreadableValue):
        copied["bomb"]
    assert pickle.dumps(Exploding(), 5) in Path(path + ".copy").read_bytes()


def test_copies_of_a_signed_shelf_verify_with_its_key(path: str) -> None:
    key = b"0123456789abcdef"
    with coshelf.open(path, sign=key) as shelf:
        shelf["a"] = {"b": 1}
        shelf.backup(path + ".copy")
    coshelf.salvage(path, path + ".salvaged")
    for name in (path, path + ".copy", path + ".salvaged"):
        with coshelf.open(name, sign=key) as copied:
            assert dict(copied) == {"a": {"b": 1}}, name


def test_backup_of_what_is_not_trusted_is_not_trusted(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    os.chmod(path, 0o666)
    with coshelf.open(path) as shelf:
        shelf.backup(path + ".copy")
    assert not is_trusted(path + ".copy")


def test_delta_left_beside_a_restored_backup_is_not_taken_for_its_own(path: str) -> None:
    assert subprocess.run([sys.executable, SCRIPTS / "left_delta.py", path]).returncode == -9
    with open(path + ".copy", "rb") as copy, open(path, "r+b") as file:  # as cp does: the inode stays
        file.write(copy.read())
        file.truncate()
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"a": "old"}


def test_cared_for_marks_of_the_old_file_go_when_it_is_compacted(path: str) -> None:
    with coshelf.open(path) as shelf:
        marks = Path(os.environ["XDG_STATE_HOME"], "coshelf", "trusted")
        before = len(list(marks.iterdir()))
        shelf.compact()
        assert len(list(marks.iterdir())) == before


def test_backup_and_salvage_with_little_address_space(path: str) -> None:
    subprocess.run([sys.executable, SCRIPTS / "little_space.py", path], check=True)
    assert coshelf.check(path + ".copy").ok and coshelf.check(path + ".salvaged").entries == 1
