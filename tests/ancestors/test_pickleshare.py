"""``coshelf.pickleshare`` where pickleshare itself fails, and next to a running pickleshare process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coshelf.pickleshare import PickleShareDB


@pytest.fixture
def db(tmp_path: Path) -> PickleShareDB:
    return PickleShareDB(tmp_path / "db")


def python(code: str, root: Path, seed: str = "random") -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, str(root)],
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_readme_of_pickleshare(db: PickleShareDB) -> None:
    db["hello"] = 15
    db["paths/are/ok/key"] = [1, (5, 46)]
    link = db.getlink("myobjects/test")
    link.foo = 2
    link.bar = link.foo + 5
    assert sorted(db) == ["hello", "myobjects/test/bar", "myobjects/test/foo", "paths/are/ok/key"]
    assert db.keys("myobjects/*/b*") == ["myobjects/test/bar"]
    assert "bar" in repr(link)
    del db["hello"], db["never was"]
    assert "hello" not in db


def test_value_that_cannot_be_pickled_leaves_the_old_one(db: PickleShareDB) -> None:
    db["a"] = 1
    with pytest.raises(Exception, match="pickle"):
        db["a"] = lambda: None
    assert db["a"] == 1


def test_clear_goes_past_broken_files(db: PickleShareDB) -> None:
    db["a"] = db["c"] = 1
    (db.root / "b").touch()
    db.clear()
    assert len(db) == 0


def test_hashed_str_keys_are_found_by_other_processes(db: PickleShareDB) -> None:
    for seed in ("1", "2", "3", "4"):
        python(
            f"import sys; from coshelf.pickleshare import *; PickleShareDB(sys.argv[1]).hset('h', 'k', {seed})",
            db.root,
            seed,
        )
        assert db.hget("h", "k") == int(seed)
    assert db.hdict("h") == {"k": 4}


def test_compressing_keeps_the_newest(db: PickleShareDB) -> None:
    for value in ("old", "new"):
        for key in range(256):
            db.hset("h", key, value)
        db.hcompress("h")
        assert db.keys("h/*") == ["h/xx"]
    db.hset("h", 1, "newest")
    assert db.hget("h", 1) == "newest"
    assert db.hget("h", 2) == "new"
    assert len(db.hdict("h")) == 256


def test_reading_deletes_nothing(db: PickleShareDB) -> None:
    db.hset("h", 1, 1)
    (db.root / "h/07").write_bytes(b"")
    os.utime(db.root / "h/07", (1, 1))
    with pytest.warns(UserWarning, match="broken"):
        assert db.hdict("h") == {1: 1}
    assert (db.root / "h/07").exists()


def test_bucket_that_goes_while_a_category_is_listed_hides_no_other(
    db: PickleShareDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old process knows no locks: it may remove a bucket between its name being read and its being looked at."""
    for key in range(5):
        db.hset("h", key, "kept")
    listed = os.scandir

    @contextmanager
    def listed_and_then_changed(directory: int) -> Iterator[Iterator[os.DirEntry[str]]]:
        with listed(directory) as found:
            entries = list(found)
        (db.root / "h/03").unlink(missing_ok=True)
        yield iter(entries)

    monkeypatch.setattr(os, "scandir", listed_and_then_changed)
    left = dict.fromkeys((0, 1, 2, 4), "kept")
    assert db.hdict("h") == left
    db.hset("h", 3, "kept")
    db.hcompress("h")
    monkeypatch.undo()
    assert db.hdict("h") == left


def test_waitget_gives_up_with_a_key_error(db: PickleShareDB) -> None:
    with pytest.raises(KeyError):
        db.waitget("a", 0)
    db["a"] = 1
    assert db.waitget("a", 0) == 1


def test_pickleshare_process_sees_each_value_at_once_and_is_seen(db: PickleShareDB) -> None:
    code = (
        "import sys, pickleshare; db = pickleshare.PickleShareDB(sys.argv[1])\n"
        "for line in sys.stdin: n = db['ours']; db['theirs'] = -n; print(n, flush=True)"
    )
    old = subprocess.Popen(
        [sys.executable, "-c", code, str(db.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with old:
        assert old.stdin is not None
        assert old.stdout is not None
        for number in range(20):
            db["ours"] = number
            old.stdin.write("look\n")
            old.stdin.flush()
            assert old.stdout.readline() == f"{number}\n"
            assert db["theirs"] == -number
        old.stdin.close()
    assert sorted(db) == ["ours", "theirs"]


def command(*arguments: str | Path, input: str = "") -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "coshelf.pickleshare", *map(str, arguments)]
    return subprocess.run(words, input=input, capture_output=True, text=True, timeout=300)


def test_command_line_dumps_and_loads(db: PickleShareDB, tmp_path: Path) -> None:
    db["a/b"] = {"x": [1, None]}
    db["long"] = list(range(100))
    other = PickleShareDB(tmp_path / "other")
    other["before"] = 1
    dumped = command("dump", db.root)
    assert dumped.returncode == 0
    assert command("load", other.root, input=dumped.stdout).returncode == 0
    assert dict(other) == {"a/b": {"x": [1, None]}, "long": list(range(100))}


@pytest.mark.parametrize(
    "bad", ["exit(7)", "__import__('os').abort()", "[1]", "{1: 2}", "{'a': 1", "{'../a': 1}", "(" * 10_000, ""]
)
def test_command_line_loads_nothing_but_literals_and_loses_nothing(bad: str, db: PickleShareDB) -> None:
    db["kept"] = 1
    done = command("load", db.root, input=bad)
    assert done.returncode in (1, 3)
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert dict(db) == {"kept": 1}


def test_command_line_says_what_it_cannot_dump(db: PickleShareDB) -> None:
    db["good"] = 1
    db["path"] = Path("x")
    (db.root / "broken").write_bytes(b"\x80")
    os.utime(db.root / "broken", (1, 1))
    done = command("dump", db.root)
    assert done.returncode == 1
    assert "'good': 1" in done.stdout
    assert "error: 'broken' cannot be read" in done.stderr
    assert "error: 'path' is not a Python literal" in done.stderr


def test_command_line_waits(db: PickleShareDB) -> None:
    db["kept"] = 1
    words = [sys.executable, "-m", "coshelf.pickleshare", "testwait", str(db.root)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as waiting:
        db["250"] = ["here"]
        assert waiting.communicate(timeout=300)[0] == "['here']\n"
    assert db["kept"] == 1


def test_command_line_explains_itself(tmp_path: Path) -> None:
    assert command().returncode == 0
    assert command().stdout.startswith("usage: ")
    for wrong in (("test",), ("load",), ("dump", "a", "b")):
        assert command(*wrong).returncode == 2
        assert command(*wrong).stderr.startswith("usage: ")
    assert command("dump", tmp_path / "none").returncode == 3
    assert command("testwait", tmp_path / "none").returncode == 3
    assert list(tmp_path.iterdir()) == []


def test_each_item_is_popped_by_one_process(db: PickleShareDB) -> None:
    for number in range(60):
        db[f"d/{number}"] = number
    code = (
        "import sys; from coshelf.pickleshare import *; db = PickleShareDB(sys.argv[1]); sys.stdin.readline()\n"
        "try:\n  while True: print(db.popitem()[1])\nexcept KeyError: pass"
    )
    words = [sys.executable, "-c", code, str(db.root)]
    crew = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    popped = []
    for process in crew:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in crew:
        popped += process.communicate(timeout=300)[0].split()
    assert sorted(map(int, popped)) == list(range(60))


def test_items_pass_over_what_goes_meanwhile(db: PickleShareDB) -> None:
    db["a"] = db["b"] = db["c"] = 1
    found = iter(db.items())
    assert next(found) == ("a", 1)
    del PickleShareDB(db.root)["b"]
    assert list(found) == [("c", 1)]


def test_set_default_and_pop_with_default(db: PickleShareDB) -> None:
    assert db.setdefault("a", [1]) == [1]
    assert db.setdefault("a", [2]) == [1]
    assert db.pop("a") == [1]
    assert db.pop("a", 7) == 7
    with pytest.raises(KeyError):
        db.pop("a")
    with pytest.raises(KeyError):
        db.popitem()
