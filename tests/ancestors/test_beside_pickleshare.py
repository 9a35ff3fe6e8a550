"""A running pickleshare process and ours on one directory: each is right about what the other writes."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pickleshare import PickleShareDB as OldDB

import coshelf
from coshelf.pickleshare import PickleShareDB


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "db"


class Old:
    """A process of pickleshare that runs code line by line; ``db`` is the directory."""

    def __init__(self, root: Path) -> None:
        code = (
            "import sys, pickleshare, time\ndb = pickleshare.PickleShareDB(sys.argv[1])\n"
            "for line in sys.stdin:\n    exec(line)\n    print('done', flush=True)"
        )
        command = [sys.executable, "-c", code, str(root)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, code: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(code + "\n")
        self.process.stdin.flush()

    def finish(self) -> str:
        """What it printed."""
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            if line == "done\n":
                return said.strip()
            said += line
        raise AssertionError("the old process ended")

    def run(self, code: str) -> str:
        self.start(code)
        return self.finish()


@pytest.fixture
def old(root: Path):
    process = Old(root)
    yield process
    assert process.process.stdin is not None
    process.process.stdin.close()
    process.process.wait()
    assert process.process.stdout is not None
    process.process.stdout.close()


def test_old_process_sees_each_of_our_values_at_once(root: Path, old: Old) -> None:
    db = PickleShareDB(root)
    for number in range(30):
        db["ours"] = number
        assert old.run("print(db['ours'])") == str(number)
    del db["ours"]
    db["ours"] = "made again"
    assert old.run("print(db['ours'])") == "made again"


def test_we_see_each_value_of_the_old_process_at_once(root: Path, old: Old) -> None:
    db = PickleShareDB(root)
    with coshelf.open(f"files:{root}") as shelf:
        for number in range(30):
            old.run(f"db['theirs'] = [{number}, 'x' * {number * 1000}]")
            assert db["theirs"] == shelf["theirs"] == [number, "x" * number * 1000]


@pytest.mark.parametrize("size", [10, 100_000])
def test_we_never_fail_while_the_old_process_writes_in_place(root: Path, old: Old, size: int) -> None:
    old.run(f"db['a'] = 'x' * {size}")
    old.start(f"exec(\"end = time.time() + 1\\nwhile time.time() < end: db['a'] = 'x' * {size}\")")
    db, reads, end = PickleShareDB(root), 0, time.monotonic() + 0.8
    with coshelf.open(f"files:{root}") as shelf:
        while time.monotonic() < end or not reads:
            db.uncache()
            assert db["a"] == "x" * size
            assert shelf["a"] == "x" * size
            reads += 1
    old.finish()


def test_old_process_never_fails_while_we_write(root: Path, old: Old) -> None:
    db = PickleShareDB(root)
    db["a"] = "x" * 100_000
    reads = "while time.time() < end or not found: db.uncache(); found.append(len(db['a']))"
    code = f"end = time.time() + 1; found = []\\n{reads}"
    old.start(f'exec("{code}")')
    end = time.monotonic() + 0.8
    while time.monotonic() < end:
        db["a"] = "x" * 100_000
    old.finish()
    assert old.run("print(set(found))") == "{100000}"


def test_hashed_categories_of_both_agree(root: Path, old: Old) -> None:
    db = PickleShareDB(root)
    for number in range(20):
        db.hset("h", number, "ours")
        old.run(f"db.hset('h', {number} + 10, 'theirs')")
        db.hset("h", f"name{number}", number)
        old.run(f"db.hset('h', 'name{number}', -{number})")
        db.hset("h", f"name{number}", number)
    merged = db.hdict("h")
    assert old.run("print(db.hdict('h') == eval(sys.stdin.readline()))\n" + repr(merged)) == "True"
    assert [db.hget("h", f"name{number}") for number in range(20)] == list(range(20))
    db.hcompress("h")
    assert OldDB(root).hdict("h") == merged
    assert old.run("print(db.hget('h', 3, fast_only=False))") == "ours"


def test_waiting_wakes_for_an_old_process(root: Path, old: Old) -> None:
    old.start("time.sleep(0.2); db['box/key'] = 'here'")
    assert PickleShareDB(root).waitget("box/key", 30) == "here"
    old.finish()
    old.start("time.sleep(0.2); db['box/other'] = 'here'")
    with coshelf.open(f"files:{root}") as shelf:
        assert shelf.wait("box/other", timeout=300) == "here"
    old.finish()


def test_old_clear_and_ours_empty_it_for_both(root: Path, old: Old) -> None:
    db = PickleShareDB(root)
    db.update({"a": 1, "b/c": 2})
    old.run("db.clear()")
    assert dict(db) == {}
    old.run("db.update({'a': 1, 'b/c': 2})")
    db.clear()
    assert old.run("print(len(db))") == "0"


def test_nothing_but_values_lies_in_the_directory(root: Path, old: Old) -> None:
    db = PickleShareDB(root)
    db["a/b"] = 1
    db.hset("h", "k", 1)
    assert sorted(old.run("print(*sorted(db.keys()))").split()) == sorted(db.keys())
    for path in root.rglob("*"):
        assert path.is_dir() or pickle.loads(path.read_bytes()) is not None
