"""``coshelf.pickleshare`` where pickleshare itself fails, and next to a running pickleshare process."""

from __future__ import annotations

import os
import subprocess
import sys
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
        timeout=60,
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


def test_waitget_gives_up_with_a_key_error(db: PickleShareDB) -> None:
    with pytest.raises(KeyError):
        db.waitget("a", 0)
    db["a"] = 1
    assert db.waitget("a", 0) == 1


def test_pickleshare_process_sees_each_value_at_once_and_is_seen(db: PickleShareDB) -> None:
    pytest.importorskip("pickleshare")
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


def test_command_line_dumps_and_loads(db: PickleShareDB, tmp_path: Path) -> None:
    db["a/b"] = {"x": [1, None]}
    command = [sys.executable, "-m", "coshelf.pickleshare"]
    dumped = subprocess.run([*command, "dump", str(db.root)], capture_output=True, text=True, check=True).stdout
    subprocess.run([*command, "load", str(tmp_path / "other")], input=dumped, text=True, check=True)
    assert dict(PickleShareDB(tmp_path / "other")) == {"a/b": {"x": [1, None]}}
    hostile = subprocess.run(
        [*command, "load", str(tmp_path / "other")], input="exit(7)", text=True, capture_output=True
    )
    assert hostile.returncode not in (0, 7)
