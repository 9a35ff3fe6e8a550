"""A disk that is full: StorageFull, everything committed before is there, and it goes on when space returns."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_FILL = """
import coshelf, os, sys
folder = sys.argv[1]
path, ballast = os.path.join(folder, "my.shelf"), os.path.join(folder, "ballast")

def leave(pages):
    "Take all room but some pages."
    if os.path.exists(ballast):
        os.remove(ballast)
    file = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(file, bytes(4096))
    except OSError:
        pass
    os.ftruncate(file, max(0, os.fstat(file).st_size - pages * 4096))
    os.close(file)
"""

_COMMITS = (
    _FILL
    + """
expected = {}
with coshelf.open(path) as shelf:
    with open(ballast, "wb") as file:
        file.write(bytes(256 * 1024))
    for n in range(10_000):
        try:
            shelf[n] = "x" * 700
        except coshelf.StorageFull as error:
            assert path in str(error) and "no space" in str(error), error
            assert error.errno == 28
            break
        expected[n] = "x" * 700
    else:
        raise AssertionError("never full")
    assert len(expected) > 50
    assert shelf.copy() == expected
    for attempt in range(3):
        try:
            shelf.update({("many", n): "y" * 5000 for n in range(200)})
        except coshelf.StorageFull:
            pass
        else:
            raise AssertionError("found room")
    try:
        with shelf.transaction() as t:
            t["big"] = "z" * 2_000_000
    except coshelf.StorageFull:
        pass
    try:
        del shelf[0]
    except coshelf.StorageFull:
        pass
    else:
        del expected[0]
    assert shelf.copy() == expected
    with shelf.snapshot() as snapshot:
        assert dict(snapshot) == expected
print("reopen", flush=True)
with coshelf.open(path, "r") as shelf:
    assert shelf.copy() == expected
os.remove(ballast)
with coshelf.open(path) as shelf:
    shelf["later"] = "works"
    shelf.update({n: "y" for n in range(20)})
    expected = expected | {"later": "works"} | {n: "y" for n in range(20)}
    assert shelf.copy() == expected
with coshelf.open(path, "r") as shelf:
    assert shelf.copy() == expected
os.remove(path)
assert os.listdir(folder) == []
"""
)


def test_commits_on_a_full_disk_lose_nothing(mounted: Any, python: Any) -> None:
    python(_COMMITS, mounted("-t", "tmpfs", "-o", "size=1m", "none"))


_SPACE_RETURNS = (
    _FILL
    + """
durability, way = sys.argv[2:]
shelf = coshelf.open(path, durability=durability)
shelf["a"] = 1
shelf.sync()
leave(0)
expected = {"a": 1}
# The space of the delta is taken already: commits work, and are kept, but cannot reach the file.
for n in range(10_000):
    try:
        shelf["b", n] = "x" * 20_000
    except coshelf.StorageFull as error:
        assert path in str(error), error
        if "everybody sees it" not in str(error):
            break
        assert durability == "commit"
    else:
        assert durability == "interval"
    expected["b", n] = "x" * 20_000
    try:
        shelf.sync()
    except coshelf.StorageFull as error:
        assert path in str(error) and "is kept" in str(error), error
    else:
        raise AssertionError("found room")
    assert dict(shelf) == expected
else:
    raise AssertionError("never full")
assert len(expected) > 10, len(expected)
if way == "closed":
    try:
        shelf.close()
    except coshelf.StorageFull as error:
        assert path in str(error), error
    else:
        raise AssertionError("found room")
os.remove(ballast)
if way == "closed":
    shelf = coshelf.open(path)
assert dict(shelf) == expected
shelf["b", n] = "x" * 20_000
shelf.sync()
assert dict(shelf) == expected | {("b", n): "x" * 20_000}
shelf.close()
assert os.listdir(folder) == ["my.shelf"]
with coshelf.open(path, "r") as shelf:
    assert dict(shelf) == expected | {("b", n): "x" * 20_000}
"""
)


@pytest.mark.parametrize("way", ["open", "closed"])
@pytest.mark.parametrize("durability", ["interval", "commit"])
def test_what_was_committed_on_a_full_disk_is_flushed_when_space_returns(
    durability: str, way: str, mounted: Any, python: Any
) -> None:
    python(_SPACE_RETURNS, mounted("-t", "tmpfs", "-o", "size=2m", "none"), durability, way)


_CREATE = (
    _FILL
    + """
for pages in range(80):
    leave(pages)
    print("create with", pages, flush=True)
    try:
        shelf = coshelf.open(path)
    except coshelf.StorageFull as error:
        assert path in str(error), error
        assert os.listdir(folder) in (["ballast"], ["ballast", "my.shelf"], ["my.shelf", "ballast"]), os.listdir(folder)
        if os.path.exists(path):
            os.remove(ballast)
            with coshelf.open(path, "r") as shelf:
                assert dict(shelf) == {}
            os.remove(path)
        continue
    try:
        shelf["a"] = 1
    except coshelf.StorageFull:
        assert dict(shelf) == {}
    else:
        assert dict(shelf) == {"a": 1}
    shelf.close()
    assert set(os.listdir(folder)) == {"ballast", "my.shelf"}
    os.remove(path)
assert pages > 70
"""
)


def test_making_a_shelf_on_a_full_disk_leaves_nothing_half_made(mounted: Any, python: Any) -> None:
    python(_CREATE, mounted("-t", "tmpfs", "-o", "size=1m", "none"))


_NOTHING_LEFT = (
    _FILL
    + """
for pages in range(3):
    leave(pages)
    try:
        coshelf.open(path)
    except coshelf.StorageFull as error:
        assert path in str(error), error
    else:
        raise AssertionError("made")
    assert os.listdir(folder) == ["ballast"], os.listdir(folder)
"""
)


def test_shelf_for_which_there_is_no_room_leaves_no_file(mounted: Any, python: Any) -> None:
    python(_NOTHING_LEFT, mounted("-t", "tmpfs", "-o", "size=1m", "none"))


_OPEN = (
    _FILL
    + """
flag = sys.argv[2]
with coshelf.open(path) as shelf:
    shelf.update(a=1, b=[2])
for pages in range(12):
    leave(pages)
    print("open with", pages, flush=True)
    try:
        shelf = coshelf.open(path, flag)
    except coshelf.StorageFull as error:
        assert path in str(error), error
    else:
        assert dict(shelf) == {"a": 1, "b": [2]}
        with shelf.snapshot() as snapshot:
            assert len(snapshot) == 2
        if flag != "r":
            try:
                with shelf.transaction() as t:
                    t["a"] = 1
            except coshelf.StorageFull:
                pass
        shelf.close()
    assert set(os.listdir(folder)) == {"ballast", "my.shelf"}
os.remove(ballast)
with coshelf.open(path, "r") as shelf:
    assert dict(shelf) == {"a": 1, "b": [2]}
"""
)


@pytest.mark.parametrize("flag", ["r", "w"])
def test_opening_on_a_full_disk_works_or_says_so(flag: str, mounted: Any, python: Any) -> None:
    """The sidecars need room, too, and a map without pages below it is a crash."""
    python(_OPEN, mounted("-t", "tmpfs", "-o", "size=1m", "none"), flag)


_DELETE = (
    _FILL
    + """
expected = {n: "x" * 1000 for n in range(2000)}
with coshelf.open(path) as shelf:
    shelf.update(expected)
for turn in range(4):
    leave(0)
    print("open", turn, flush=True)
    with coshelf.open(path, "w") as shelf:
        assert dict(shelf) == expected
        held = []
        try:  # the lock file is smaller, and has no place that is not taken
            for n in range(300):
                held.append(shelf.snapshot())
        except coshelf.StorageError as error:
            assert len(held) > 100, error
        for snapshot in held:
            assert snapshot[1999] == "x" * 1000
            snapshot.close()
        for n in range(turn * 200, turn * 200 + 200):
            del shelf[n], expected[n]
        shelf.update({("new", turn, n): b"y" * 1000 for n in range(20)})  # in the place of what was deleted
        expected |= {("new", turn, n): b"y" * 1000 for n in range(20)}
        assert dict(shelf) == expected
        try:
            shelf["huge"] = b"z" * 3_000_000
        except coshelf.StorageFull as error:
            assert path in str(error) and "no space" in str(error), error
        else:
            raise AssertionError("found room")
        assert dict(shelf) == expected
    assert {"ballast", "my.shelf"} <= set(os.listdir(folder)) <= {"ballast", "my.shelf", "lost+found"}
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == expected
leave(0)
with coshelf.open(path) as shelf:
    shelf.clear()
    shelf["kept"] = 1
    shelf["more"] = 2  # what a commit frees can be used two commits later
    shelf["large"] = b"z" * 200_000
    assert len(shelf) == 3
os.remove(ballast)
with coshelf.open(path) as shelf:
    assert len(shelf) == 3 and shelf["large"] == b"z" * 200_000
    shelf.update(expected)
    shelf.compact()
with coshelf.open(path, "r") as shelf:
    assert dict(shelf) == expected | {"kept": 1, "more": 2, "large": b"z" * 200_000}
"""
)


@pytest.mark.parametrize("kind", [("-t", "tmpfs", "-o", "size=7m"), "ext4"])
def test_a_shelf_is_opened_and_emptied_on_a_full_disk(kind: Any, mounted: Any, python: Any, tmp_path: Path) -> None:
    """The reserve at its end has space for the sidecars, and for the pages that the first deletions write."""
    if kind == "ext4":
        image = tmp_path / "image"
        image.write_bytes(bytes(8 << 20))
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("there is no mkfs.ext4")
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", str(image)], check=True)
        python(_DELETE, mounted("-o", "loop", str(image)))
    else:
        python(_DELETE, mounted(*kind, "none"))


_SMALL = (
    _FILL
    + """
with coshelf.open(path) as shelf:
    shelf.update(a=1, b=2)
size = os.stat(path).st_size
leave(0)
try:
    coshelf.open(path, "w")
except coshelf.StorageFull as error:
    assert path in str(error) and "flag 'r'" in str(error), error
else:
    raise AssertionError("found room")
assert os.stat(path).st_size == size < 65536
"""
)


def test_a_small_shelf_has_no_reserve(mounted: Any, python: Any) -> None:
    python(_SMALL, mounted("-t", "tmpfs", "-o", "size=1m", "none"))


_MANY_READERS = (
    _FILL
    + """
with coshelf.open(path) as shelf:
    shelf["a"] = 1
    leave(0)
    held = []
    for n in range(300):
        print("reader", n, flush=True)
        held.append(shelf.snapshot())
    assert all(snapshot["a"] == 1 for snapshot in held)
    for snapshot in held:
        snapshot.close()
"""
)


def test_many_readers_on_a_full_disk_do_not_crash(mounted: Any, python: Any) -> None:
    python(_MANY_READERS, mounted("-t", "tmpfs", "-o", "size=1m", "none"))


_LIMITED = """
import coshelf, os, resource, sys
path, durability, has_delta = sys.argv[1:]
with coshelf.open(path, durability=durability) as shelf:
    expected = {}
    if has_delta == "True":
        shelf["first"] = expected["first"] = 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (512 * 1024, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    for n in range(10_000):
        try:
            shelf[n] = "x" * 700  # commits work for as long as the delta, or else the file, has room
        except coshelf.StorageError as error:
            assert path in str(error), error
            if "everybody sees it" in str(error):
                expected[n] = "x" * 700
            break
        expected[n] = "x" * 700
        try:
            if n % 100 == 99:
                shelf.sync()
        except coshelf.StorageError as error:
            assert path in str(error), error
            break
    else:
        raise AssertionError("never full")
    assert len(expected) > 50
    assert shelf.copy() == expected
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
    shelf["later"] = "works"
with coshelf.open(path, "r") as shelf:
    assert shelf.copy() == expected | {"later": "works"}
"""


@pytest.mark.parametrize("has_delta", [True, False])
@pytest.mark.parametrize("durability", ["interval", "commit"])
def test_file_that_may_not_grow_is_as_a_full_disk(
    durability: str, has_delta: bool, tmp_path: Path, python: Any
) -> None:
    """A file of that length has no delta, whose own is larger, unless it was made before."""
    python(_LIMITED, tmp_path / "my.shelf", durability, has_delta)


_MAPPING = """
import coshelf, dbm.dumb, os, resource, sys
with dbm.dumb.open(sys.argv[1], "c") as mapping:
    shelf = coshelf.open(mapping)
    shelf["a"] = "old"
    shelf["b"] = "old"
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        shelf.update({"a": "new", "b": "x" * 100_000})
    except OSError:
        pass
    else:
        raise AssertionError("stored")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert shelf.copy() == {"a": "old", "b": "old"}
"""


def test_mapping_that_fails_half_way_keeps_the_old_values(tmp_path: Path, python: Any) -> None:
    python(_MAPPING, tmp_path / "my-dbm")
