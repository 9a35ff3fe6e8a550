"""The files engine in places that refuse: clear errors of ours, and nothing is lost or touched outside."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.errors import CoshelfError, InvalidKey, ShelfNotFound

_SCRIPT = """
import coshelf, sys
url = "files:" + sys.argv[1]

def refused(work):
    try:
        work()
    except coshelf.ShelfPermissionError as error:
        assert sys.argv[1] in str(error), error
    else:
        raise AssertionError("not refused")
"""


@pytest.fixture
def root(place: Path) -> Path:
    """A directory with two values, in one that others may enter."""
    (place / "inside").mkdir()
    with coshelf.open(f"files:{place}/inside/db", mode=0o644) as shelf:
        shelf.update({"a": 1, "b/c": [2]})
    return place / "inside/db"


def test_read_only_directory_is_read_and_each_write_is_refused(root: Path, powerless: Any, unchanged: Any) -> None:
    for path in (root, root / "b", root.parent):
        path.chmod(0o555)
    with unchanged(root.parent):
        powerless(
            _SCRIPT
            + """
for flag in ("r", "w", "c"):
    with coshelf.open(url, flag) as shelf:
        assert dict(shelf) == {"a": 1, "b/c": [2]}
        with shelf.snapshot() as then:
            assert len(then) == 2
for work in (lambda s: s.clear(), lambda s: s.pop("a"), lambda s: s.update(a=2), lambda s: s.__delitem__("b/c"),
             lambda s: s.__setitem__("new", 1), lambda s: s.modify("a", lambda n: n + 1)):
    with coshelf.open(url) as shelf:
        refused(lambda: work(shelf))
refused(lambda: coshelf.open(url, "n"))
refused(lambda: coshelf.open(url + "/below"))
""",
            root,
        )


def test_file_that_may_not_be_read_is_no_missing_key(root: Path, powerless: Any) -> None:
    (root / "a").chmod(0)
    powerless(
        _SCRIPT
        + """
with coshelf.open(url, "r") as shelf:
    refused(lambda: shelf["a"])
    refused(lambda: shelf.get("a"))
    assert shelf["b/c"] == [2]
    assert list(shelf) == ["a", "b/c"]
""",
        root,
    )


def test_directory_that_may_not_be_entered(root: Path, powerless: Any) -> None:
    root.chmod(0)
    try:
        powerless(_SCRIPT + "refused(lambda: coshelf.open(url, 'r'))\nrefused(lambda: coshelf.open(url))", root)
    finally:
        root.chmod(0o755)


def test_planted_staging_directory_is_not_written_to(root: Path, tmp_path: Path, unchanged: Any) -> None:
    staging = root.parent / ".db.coshelf-staging"
    staging.rmdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").write_text("kept")
    staging.symlink_to(tmp_path / "outside")
    with coshelf.open(f"files:{root}") as shelf:
        with unchanged(tmp_path), pytest.raises(CoshelfError, match="db"):
            shelf["a"] = 2
        assert dict(shelf) == {"a": 1, "b/c": [2]}
    staging.unlink()
    staging.write_text("a file in its place")
    with coshelf.open(f"files:{root}") as shelf, unchanged(tmp_path), pytest.raises(CoshelfError, match="db"):
        shelf["a"] = 2


def test_root_that_goes_while_it_is_open(root: Path) -> None:
    with coshelf.open(f"files:{root}") as shelf:
        root.rename(root.parent / "moved")
        shelf["a"] = 2
        assert pickle.loads((root.parent / "moved/a").read_bytes()) == 2
        for name in ("a", "b/c"):
            (root.parent / "moved" / name).unlink()
        (root.parent / "moved/b").rmdir()
        (root.parent / "moved").rmdir()
        assert dict(shelf) == {}
        with pytest.raises(CoshelfError):
            shelf["a"] = 3
    with pytest.raises(ShelfNotFound):
        coshelf.open(f"files:{root}", "r")


def test_unusual_keys_that_are_paths_are_keys(root: Path) -> None:
    keys = [
        "A",
        "a ",
        ".hidden",
        "...",
        "-",
        "~",
        "*",
        "a.b",
        "é",
        "e\u0301",
        "\n",
        "con",
        "k" * 255,
        "x" + "/y" * 500,
        "\x7f",
    ]
    with coshelf.open(f"files:{root}") as shelf:
        for number, key in enumerate(keys):
            shelf[key] = number
        assert [shelf[key] for key in keys] == list(range(len(keys)))
        assert shelf["a"] == 1
        assert set(shelf) == {*keys, "a", "b/c"}
        with pytest.raises(InvalidKey):
            shelf["/".join("k" * 200 for _ in range(3)) + "/.."] = 1


def test_key_that_is_longer_than_any_path_is_a_key(root: Path) -> None:
    key = "/".join("k" * 250 for _ in range(40))  # longer than any path that can be given to the system
    with coshelf.open(f"files:{root}") as shelf:
        shelf[key] = 1
        assert shelf[key] == 1
        assert key in list(shelf)
        shelf.clear()
        assert dict(shelf) == {}
    shutil.rmtree(root)  # what looks at whole paths cannot


def test_old_pickles_of_no_process_at_work_are_damage_at_once(root: Path) -> None:
    for name, data in {
        "empty": b"",
        "cut": pickle.dumps([1] * 100, 2)[:-7],
        "text": b"hello",
        "zeros": bytes(50),
    }.items():
        (root / name).write_bytes(data)
        os.utime(root / name, (1, 1))
        with coshelf.open(f"files:{root}") as shelf:
            assert name in shelf
            with pytest.raises(coshelf.DamagedRecord, match=name):
                shelf[name]
            with pytest.raises(coshelf.DamagedRecord, match=name):
                dict(shelf)
            assert shelf["a"] == 1
            assert len(shelf) == 3
        (root / name).unlink()


def test_value_whose_class_is_gone_is_neither_missing_nor_damaged(root: Path) -> None:
    (root / "gone").write_bytes(b"\x80\x02cnowhere\nGone\n)\x81.")
    with coshelf.open(f"files:{root}", trust=True) as shelf, pytest.raises(coshelf.UnreadableValue, match="gone"):
        shelf["gone"]


_SWAP = """
import os, sys, time
root, outside = sys.argv[1:]
print("ready", flush=True)
end = time.monotonic() + 2
while time.monotonic() < end:
    try:
        os.rename(root + "/swap", root + "/away")
    except OSError:
        pass
    try:
        os.symlink(outside, root + "/swap")
        os.unlink(root + "/swap")
        os.rename(root + "/away", root + "/swap")
    except OSError:
        pass
"""


def test_directory_that_becomes_a_link_leads_nobody_out(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "key").write_bytes(pickle.dumps("precious"))
    with coshelf.open(f"files:{root}") as shelf:
        shelf["swap/key"] = 0
        command = [sys.executable, "-c", _SWAP, str(root), str(outside)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as swapper:
            assert swapper.stdout is not None
            swapper.stdout.readline()
            writes = 0
            while swapper.poll() is None:
                try:
                    shelf["swap/key"] = writes
                    shelf["swap/new"] = writes
                    writes += 1
                    assert shelf.get("swap/key") != "precious"
                    if writes % 10 == 0:
                        shelf.clear()
                except CoshelfError:
                    continue
        assert writes > 10
    assert os.listdir(outside) == ["key"]
    assert pickle.loads((outside / "key").read_bytes()) == "precious"


def test_full_disk_is_told_and_loses_nothing(mounted: Any) -> None:
    place = mounted("-t", "tmpfs", "-o", "size=2m", "tmpfs")
    with coshelf.open(f"files:{place}/db") as shelf:
        shelf["a"] = "old"
        with pytest.raises(coshelf.StorageFull):
            shelf.update({"a": "new", "b": "x" * 3_000_000})
        assert dict(shelf) == {"a": "old"}
        shelf["b"] = "x" * 500_000  # what the refused batch took is free again
        assert os.listdir(place / ".db.coshelf-staging") == []
