"""Paths that are not UTF-8, or lie below such a folder: everything that takes a path works there."""

from __future__ import annotations

import dbm.dumb
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import coshelf
import coshelf.dbm
from coshelf import shelve
from coshelf.pickleshare import PickleShareDB

NAMES = [b"plain", b"M\xfcller", b"\xff\xfe"]


@pytest.fixture(params=NAMES, ids=["plain", "latin-1", "bytes"])
def name(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A name within a folder whose own is Latin-1, which is where the process is."""
    folder = os.fsencode(tmp_path) + b"/J\xf6rg"
    os.mkdir(folder)
    monkeypatch.chdir(os.fsdecode(folder))
    return os.fsdecode(request.param)


def use(target: Any) -> None:
    with coshelf.open(target) as shelf:
        shelf.update(a=1, large=bytearray(300_000))
        shelf.sync()
        assert shelf.check().ok
        shelf.info()
        shelf.stats()
        repr(shelf)
    with coshelf.open(target, "r") as shelf:
        assert shelf["a"] == 1
        assert len(shelf["large"]) == 300_000


@pytest.mark.parametrize("target", ["{}", "./{}", "lmdb:{}", "sqlite:{}", "files:{}", "{}/"])
def test_every_engine_that_has_a_path_opens_there(target: str, name: str) -> None:
    use(target.format(name))
    if ":" not in target:
        use(os.fsencode(target.format(name) + "2").replace(b"/2", b"2/"))


def test_care_and_copies(name: str) -> None:
    use(name)
    with coshelf.open(name) as shelf:
        assert pickle.loads(pickle.dumps(shelf))["a"] == 1
        assert shelf.backup(name + ".backup") == shelf.backup(os.fsencode(name) + b".bytes") == 2
        shelf.compact()
    assert coshelf.check(name).ok
    with coshelf.open(name + ".backup", "r") as shelf:
        assert len(shelf) == 2
    shutil.copy(name, name + ".damaged")
    with open(name + ".damaged", "r+b") as file:
        file.write(bytes(8192))
    assert coshelf.salvage(name + ".damaged", name + ".salvaged").entries >= 1


def test_drop_in_modules(name: str) -> None:
    with dbm.dumb.open(name, "c") as old:
        old[b"a"] = pickle.dumps([1])
    with shelve.open(name) as shelf:
        assert dict(shelf) == {"a": [1]}
    assert shelve.migrate(os.fsencode(name)) == 1
    with shelve.open(name, writeback=True) as shelf:
        shelf["a"].append(2)
    with shelve.open(os.fsencode(name)) as shelf:
        assert dict(shelf) == {"a": [1, 2]}
    with coshelf.dbm.open(name + ".bytes", "n") as database:
        database["a"] = b"1"
    assert coshelf.dbm.whichdb(name + ".bytes") == "coshelf.dbm"
    database = PickleShareDB(name + ".d")
    database["a"] = 1
    assert PickleShareDB(name + ".d")["a"] == 1


@pytest.mark.parametrize("scheme", ["", "sqlite:"])
def test_message_that_names_such_a_path_can_be_printed(scheme: str, name: str) -> None:
    with pytest.raises(coshelf.ShelfNotFound) as raised:
        coshelf.open(f"{scheme}{name}", "r")
    str(raised.value).encode()
    Path(name).write_bytes(b"something else")
    with pytest.raises(coshelf.CoshelfError) as refused:
        coshelf.open(f"{scheme}{name}")
    assert "J\\udcf6rg" in str(refused.value).encode().decode()


COMMANDS: list[list[str]] = [
    ["set", "{}", "key", "[1, 2]"],
    ["get", "{}", "key"],
    ["ls", "-l", "{}"],
    ["stats", "{}"],
    ["info", "{}"],
    ["info", "--json", "{}"],
    ["check", "{}"],
    ["check", "--json", "{}"],
    ["backup", "{}", "{}.backup"],
    ["compact", "{}"],
    ["export", "{}", "{}.jsonl"],
    ["import", "{}.jsonl", "{}.imported"],
    ["copy", "{}", "sqlite:{}.copied"],
    ["trust", "{}"],
    ["salvage", "{}", "{}.salvaged"],
    ["del", "{}", "key"],
]


def test_command_line_takes_and_shows_such_paths(name: str) -> None:
    for command in COMMANDS:
        arguments = [part.format(name) for part in command]
        done = subprocess.run([sys.executable, "-m", "coshelf", *arguments], capture_output=True, timeout=300)
        assert done.returncode == 0, (command, done.stderr)
    done = subprocess.run([sys.executable, "-m", "coshelf", "ls", name + ".none"], capture_output=True, timeout=300)
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr
    assert b".none" in done.stderr
