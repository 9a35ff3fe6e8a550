"""A file that was cut short, before it is opened or while it is open: an error, never a crash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import coshelf

_FILL = """
import coshelf, os, sys, shutil
path = sys.argv[1]
def value(n):
    return [n, "x" * (n % 300)]
def make(path, entries=600):
    with coshelf.open(path) as shelf:
        shelf.update({n: value(n) for n in range(entries)})
"""

_CUT_BEFORE = (
    _FILL
    + """
make(path)
whole = open(path, "rb").read()
lengths = {0, 1, 15, 16, 40, 151, 152, 4095, 4096, 4097, 8191, 8192, len(whole) - 1}
lengths |= set(range(4096, len(whole), 4096))
opened = 0
for length in sorted(lengths):
    for flag in "rwcn" if length else "rwc":  # an empty file is a fresh start for flag n
        with open(path, "wb") as file:
            file.write(whole[:length])
        print(length, flag, flush=True)
        try:
            shelf = coshelf.open(path, flag)
        except (coshelf.NotAShelf, coshelf.DamagedShelf) as error:
            assert path in str(error) and ("byte" in str(error) or "empty" in str(error)), error
        else:
            raise AssertionError("opened")
        assert open(path, "rb").read() == whole[:length]
        assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
with open(path, "wb") as file:
    file.write(whole)
with coshelf.open(path, "r") as shelf:
    assert dict(shelf) == {n: value(n) for n in range(600)}
"""
)


def test_file_cut_at_any_length_is_refused_and_stays_as_it_is(tmp_path: Path, python: Any) -> None:
    python(_CUT_BEFORE, tmp_path / "cut.shelf")


_CUT_IN_A_VALUE = """
import coshelf, os, shutil, signal, subprocess, sys
path = sys.argv[1]
with coshelf.open(path) as shelf:
    shelf.update({n: bytes([n]) * 9_000 for n in range(8)})
if sys.argv[2] == "killed":
    code = "import coshelf, os, sys; s = coshelf.open(sys.argv[1]); s['a'] = 1; s.sync(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, path])
    for name in os.listdir(os.path.dirname(path)):
        if name != "cut.shelf":
            shutil.rmtree(os.path.join(os.path.dirname(path), name))
whole = open(path, "rb").read()
refused = 0
for length in range(4096 * 3, len(whole), 1000):
    for trust in (True, None):
        with open(path, "wb") as file:
            file.write(whole[:length])
        print(length, flush=True)
        try:
            with coshelf.open(path, trust=trust) as shelf:
                for value in shelf.values():
                    assert value == 1 or value == value[:1] * 9_000
        except coshelf.DamagedShelf:
            refused += 1
assert refused > 10
"""


@pytest.mark.parametrize("end", ["closed", "killed"])
def test_file_cut_in_a_large_value_is_refused(end: str, tmp_path: Path, python: Any) -> None:
    python(_CUT_IN_A_VALUE, tmp_path / "cut.shelf", end)


_CUT_WHILE_OPEN = (
    _FILL
    + """
def attempt(doing, length):
    make(path)
    shelf = coshelf.open(path)
    snapshot = shelf.snapshot()
    walk = iter(shelf.items())
    assert next(walk) == (0, value(0))
    cursor = shelf.cursor()
    cursor.seek(100)
    os.truncate(path, int(length))
    def transaction():
        with shelf.transaction() as t:
            t[1] = 1
    def edit():
        with shelf.edit(7) as found:
            found.append(1)
    actions = {
        "get": lambda: shelf[500], "contains": lambda: 500 in shelf, "get_many": lambda: shelf.get_many([1, 500]),
        "len": lambda: len(shelf), "count": lambda: len(shelf.keys(start=5, stop=400)), "copy": shelf.copy,
        "keys": lambda: list(shelf), "reversed": lambda: list(reversed(shelf)), "scan under way": lambda: list(walk),
        "cursor": cursor.next, "take a snapshot": shelf.snapshot,
        "snapshot get": lambda: snapshot[500], "snapshot scan": lambda: list(snapshot.items()),
        "snapshot len": lambda: len(snapshot),
        "set": lambda: shelf.__setitem__(1, 1), "delete": lambda: shelf.__delitem__(1),
        "update": lambda: shelf.update(a=1), "pop": lambda: shelf.pop(1), "clear": shelf.clear,
        "transaction": transaction, "edit": edit,
    }
    print(doing, length, flush=True)
    try:
        actions[doing]()
        if doing in ("set", "update", "transaction"):
            shelf.sync()  # the delta takes these without a look at the file
    except coshelf.DamagedShelf as error:
        assert path in str(error) and "truncated" in str(error), error
    else:
        raise AssertionError("no error")
    assert os.path.getsize(path) == int(length)
    snapshot.close()
    try:
        shelf.close()
    except coshelf.DamagedShelf as error:
        assert doing in ("set", "update", "transaction") and "truncated" in str(error), error
        shutil.rmtree(os.path.join(os.path.dirname(path), ".cut.shelf.coshelf"))  # what could not be flushed is kept
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
    os.remove(path)
for length in (0, 8192):
    for doing in sys.argv[2:]:
        attempt(doing, length)
"""
)

_ACTIONS = [
    *("get", "contains", "get_many", "len", "count", "copy", "keys", "reversed", "cursor"),
    *("take a snapshot", "snapshot get", "snapshot scan", "snapshot len"),
    *("set", "delete", "update", "pop", "clear", "transaction", "edit"),
]


def test_file_cut_while_open_is_an_error_at_the_next_use(tmp_path: Path, python: Any) -> None:
    python(_CUT_WHILE_OPEN, tmp_path / "cut.shelf", *_ACTIONS)


def test_file_cut_while_it_is_scanned_is_an_error(tmp_path: Path, python: Any) -> None:
    python(_CUT_WHILE_OPEN, tmp_path / "cut.shelf", "scan under way")


def test_file_that_ends_in_free_pages_opens(tmp_path: Path) -> None:
    """LMDB counts pages that a commit took and gave back without writing them: the file is whole, but shorter."""
    for first in (13, 71, 146, 200):
        path = tmp_path / f"short{first}.shelf"
        with coshelf.open(path) as shelf:
            shelf.update(dict.fromkeys(range(first, 382), b"x" * 100))
            shelf.update(dict.fromkeys(range(338, 605), b"x" * 1000))
            with shelf.transaction() as t:
                for n in range(first + 30, 577):
                    del t[n]
            expected = shelf.copy()
        for flag in ("r", "w", "c"):
            with coshelf.open(path, flag) as shelf:
                assert shelf.copy() == expected
        with coshelf.open(path) as shelf:
            shelf.update(dict.fromkeys(range(300), b"y" * 2000))
            assert shelf[299] == b"y" * 2000
