"""``coshelf.pickleshare`` where its directory goes, where others work beside it, and where a class has gone."""

from __future__ import annotations

import gc
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coshelf.pickleshare import PickleShareDB

SCRIPTS = Path(__file__).parent / "scripts" / "pickleshare_goes_on"


@pytest.fixture
def db(tmp_path: Path) -> PickleShareDB:
    return PickleShareDB(tmp_path / "db")


# --- a root that is removed and made anew ----------------------------------------------------------------------------


def test_root_that_is_removed_and_made_anew_is_gone_on_with(db: PickleShareDB) -> None:
    for turn in range(3):
        db["a"] = db["d/a"] = turn
        shutil.rmtree(db.root)
        other = PickleShareDB(db.root)
        other["b"] = turn
        assert db["b"] == turn
        assert "a" not in db
        assert list(db) == ["b"]
        db["c"] = turn
        assert dict(other) == {"b": turn, "c": turn}
        assert db.keys("*") in (["b", "c"], ["c", "b"])


def test_root_that_is_removed_is_empty_and_made_by_the_next_write(db: PickleShareDB) -> None:
    writes: list[Callable[[], object]] = [
        lambda: db.__setitem__("a", 1),
        lambda: db.setdefault("a", 1),
        lambda: db.hset("h", 1, 1),
        lambda: db.replace_all({"a": 1}),
        lambda: db.update(a=1),
    ]
    for write in writes:
        db["a"] = 1
        shutil.rmtree(db.root)
        assert db.get("a") is None
        assert db.pop("a", "nothing") == "nothing"
        assert (list(db), len(db), db.keys("*"), dict(db.items())) == ([], 0, [], {})
        assert db.hdict("h") == {}
        assert db.hget("h", 1, "nothing") == "nothing"
        del db["a"]
        db.clear()
        for missing in (lambda: db["a"], lambda: db.pop("a"), db.popitem, lambda: db.waitget("a", 0)):
            with pytest.raises(KeyError):
                missing()
        assert not db.root.exists()
        write()
        assert len(PickleShareDB(db.root)) == 1


def test_write_in_whose_middle_the_root_goes_is_stored_in_the_new_one(
    db: PickleShareDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replaced after the lock was taken, and removed while the value lies beside it, waiting to be renamed."""
    db["a"] = 1
    chmod, done = os.fchmod, []

    def removed(descriptor: int, mode: int) -> None:
        chmod(descriptor, mode)
        if not done:
            done.append(True)
            shutil.rmtree(db.root)

    monkeypatch.setattr(os, "fchmod", removed)
    db["a"] = 2
    assert done
    assert dict(PickleShareDB(db.root)) == {"a": 2}


def test_waiting_goes_on_in_a_root_that_was_made_anew(db: PickleShareDB) -> None:
    def replaced() -> None:
        shutil.rmtree(db.root)
        PickleShareDB(db.root)["a"] = "here"

    threading.Timer(0.1, replaced).start()
    assert db.waitget("a", 30) == "here"


def test_directories_that_are_gone_are_given_back(db: PickleShareDB) -> None:
    def opened() -> int:
        gc.collect()
        links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        return sum(os.path.islink(link) and str(db.root) in os.readlink(link) for link in links)

    for turn in range(5):
        db["a"] = turn
        shutil.rmtree(db.root)
    db["a"] = 1
    assert opened() <= 2  # the first one, until the object goes, and the one that is there


# --- beside other processes ------------------------------------------------------------------------------------------


_POPS = SCRIPTS / "pops.py"


@pytest.mark.parametrize("module", ["pickleshare", "coshelf.pickleshare"])
def test_no_key_error_where_others_remove_and_write(db: PickleShareDB, module: str) -> None:
    command = [sys.executable, _POPS, module, str(db.root)]
    crew = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    finished: list[str] = []

    def run(process: subprocess.Popen[str]) -> None:
        finished.append(process.communicate("150\n", timeout=300)[0])

    threads = [threading.Thread(target=run, args=(process,)) for process in crew]
    for thread in threads:
        thread.start()
    looks = 0
    while any(thread.is_alive() for thread in threads) or not looks:
        for _ in range(10):
            looks += 1
            dict(db.items())
            list(db.values())
            db.pop(f"k{looks % 6}", None)
            db[f"k{looks % 6}"] = "x" * looks
    for thread in threads:
        thread.join()
    assert finished == ["done\n"] * 2


def test_file_that_is_emptied_but_keeps_its_time_for_a_moment_is_waited_for(
    db: PickleShareDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel does it in this order, and a time may lie in the future, so that it says nothing of the moment."""
    path = db.root / "a"
    monkeypatch.setattr(
        "coshelf.engines.files.tree.time.sleep", lambda seconds: path.write_bytes(pickle.dumps("whole", 2))
    )
    for time_of_file in (1, time.time() + 100):
        path.write_bytes(b"")
        os.utime(path, (time_of_file, time_of_file))
        assert dict(db.items()) == {"a": "whole"}
        db.uncache()


def test_popitem_passes_over_what_goes_and_what_cannot_be_read(db: PickleShareDB) -> None:
    (db.root / "a").write_bytes(b"\x80\x02cnowhere\nGone\n)\x81.")
    db["b"] = 1
    assert db.popitem() == ("b", 1)
    with pytest.raises(KeyError):
        db.popitem()
    assert list(db) == ["a"]


def test_threads_list_a_directory_each_from_its_beginning(db: PickleShareDB) -> None:
    names = {f"k{number:04}" for number in range(1500)}  # more than the system hands out at once
    for name in names:
        (db.root / name).write_bytes(b"\x80\x02K\x01.")
    wrong: list[int] = []

    def look() -> None:
        for _ in range(15):
            found = list(db)
            if set(found) != names or len(found) != len(names):
                wrong.append(len(found))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- values whose class has gone, or that are traps ------------------------------------------------------------------


_REMOVES: list[tuple[str, Callable[[PickleShareDB], object]]] = [
    ("del", lambda db: db.__delitem__("a")),
    ("set", lambda db: db.__setitem__("a", 1)),
    ("update", lambda db: db.update(a=1)),
    ("replace_all", lambda db: db.replace_all({"a": 1})),
    ("clear", lambda db: db.clear()),
]


@pytest.mark.parametrize("work", [work for _, work in _REMOVES], ids=[name for name, _ in _REMOVES])
def test_nothing_that_removes_or_overwrites_decodes(db: PickleShareDB, work: Callable[[Any], object]) -> None:
    for content in (
        b"\x80\x02cos\nmkdir\nX\x06\x00\x00\x00sprung\x85R.",
        b"\x80\x02cnowhere\nGone\n)\x81.",
        b"cos\nmkdir\n(S'sprung'\ntR.",
    ):
        (db.root / "a").write_bytes(content)
        before = os.getcwd()
        os.chdir(db.root.parent)
        try:
            work(db)
        finally:
            os.chdir(before)
        assert not (db.root.parent / "sprung").exists()
        assert db.get("a") in (None, 1)
        assert sorted(db.keys()) in ([], ["a"])


def test_pop_gives_up_only_what_can_be_read(db: PickleShareDB) -> None:
    (db.root / "a").write_bytes(b"\x80\x02cnowhere\nGone\n)\x81.")
    with pytest.raises(KeyError) as caught:
        db.pop("a")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert db.pop("a", "default") == "default"
    assert db.keys() == ["a"]
    del db["a"]
    assert db.keys() == []


def test_glob_lists_nothing_behind_a_link(db: PickleShareDB, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(pickle.dumps(1))
    db["d/a"] = 1
    (db.root / "link").symlink_to(tmp_path / "outside")
    (db.root / "file").symlink_to(tmp_path / "outside/secret")
    assert db.keys("*") == db.keys("link/*") == db.keys("*/secret") == db.keys("../outside/*") == []
    assert db.keys("*/*") == ["d/a"]
