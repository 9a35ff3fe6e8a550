"""One trial: a damaged shelf is used in a child process, and what came of it gets a name.

Children are forked from a process that has everything imported, so that a trial costs milliseconds. What a child does
is what users do: open, len, keys, items, get, write, delete, close, and look once more.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import coshelf
from coshelf import CoshelfError

__all__ = ["CRASH", "HANG", "MISSING", "RIGHT", "TOLD", "UNTYPED", "WRONG", "Outcome", "trial"]

RIGHT = "right"  # everything as if nothing had happened
TOLD = "told"  # an error of our tree, and nothing wrong besides
MISSING = "missing"  # a key is not there, or not counted, and nothing says so
WRONG = "wrong"  # another value, or a key that was never stored
UNTYPED = "untyped"  # an error that is not of our tree
CRASH = "crash"
HANG = "hang"

_SECONDS = 100
_WORST_FIRST = (WRONG, UNTYPED, MISSING, TOLD, RIGHT)


class Outcome(NamedTuple):
    """What came of a trial, with a line on how."""

    name: str
    how: str


class _Findings:
    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def note(self, name: str, how: str) -> None:
        self.found.setdefault(name, how[:300])

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        try:
            yield
        except CoshelfError as error:
            self.note(TOLD, f"{what}: {type(error).__name__}: {error}")
        except Exception as error:
            self.note(UNTYPED, f"{what}: {type(error).__name__}: {error}")

    def worst(self) -> Outcome:
        for name in _WORST_FIRST:
            if name in self.found:
                return Outcome(name, self.found[name])
        return Outcome(RIGHT, "")


def _look(shelf: Any, entries: dict[Any, Any], findings: _Findings, when: str) -> None:
    """Read everything in every way and compare.

    Once damage was told the numbers may differ: what was stored anew stands beside what is left of a damaged key.
    """
    counts = TOLD not in findings.found
    with findings.doing(f"{when} len"):
        if counts and len(shelf) != len(entries):
            findings.note(MISSING, f"{when} len is {len(shelf)}, not {len(entries)}")
    for key, value in entries.items():
        with findings.doing(f"{when} get"):
            try:
                found = shelf[key]
            except KeyError as error:
                if isinstance(error, CoshelfError):
                    raise
                findings.note(MISSING, f"{when} get of {key!r:.60}")
            else:
                if found != value:
                    findings.note(WRONG, f"{when} get of {key!r:.60} gives {found!r:.60}")
    with findings.doing(f"{when} items"):
        items = dict(shelf.items())
        if items != entries:
            more = any(key not in entries or entries[key] != value for key, value in items.items())
            findings.note(WRONG if more else MISSING, f"{when} items: {len(items)}, not {len(entries)}")
    with findings.doing(f"{when} keys"):
        keys = list(shelf)
        if counts and len(keys) != len(entries):
            findings.note(MISSING, f"{when} keys: {len(keys)}, not {len(entries)}")
        for key in keys:
            if key not in entries:  # no fault if reading it raises an error
                with findings.doing(f"{when} get of a found key"):
                    findings.note(WRONG, f"{when} key {key!r:.60} appeared: {shelf[key]!r:.60}")


def use(path: str, entries: dict[Any, Any], *, trust: bool = True) -> Outcome:
    """Use a shelf that was damaged while it was closed."""
    findings = _Findings()
    expected = dict(entries)
    try:
        shelf = coshelf.open(path, "w", trust=trust)
    except CoshelfError as error:
        return Outcome(TOLD, f"open: {type(error).__name__}: {error}"[:300])
    except Exception as error:
        return Outcome(UNTYPED, f"open: {type(error).__name__}: {error}"[:300])
    with findings.doing("close"):
        _look(shelf, expected, findings, "first")
        kept = list(entries)
        with findings.doing("write"):
            shelf.update({("new", number): "n" * 50 for number in range(40)})
            expected.update({("new", number): "n" * 50 for number in range(40)})
        with findings.doing("delete"):
            del shelf[kept[len(kept) // 2]]
            del expected[kept[len(kept) // 2]]
        with findings.doing("sync"):
            shelf.sync()
        with findings.doing("rewrite"):
            shelf.update(dict.fromkeys(kept[:20], "again"))
            expected.update(dict.fromkeys(kept[:20], "again"))
        with findings.doing("close"):
            shelf.close()
    with findings.doing("reopen"), coshelf.open(path, "r", trust=trust) as again:
        _look(again, expected, findings, "later")
    return findings.worst()


def trial(content: bytes, use_it: Callable[[str], Outcome], directory: str) -> Outcome:
    """Use a file with this content in a child of this process."""
    place = tempfile.mkdtemp(dir=directory)
    path = os.path.join(place, "my.shelf")
    with open(path, "wb") as file:
        file.write(content)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(_SECONDS)
            outcome = use_it(path)
            os.write(writing, f"{outcome.name}\n{outcome.how}".encode(errors="backslashreplace"))
            status = 0
        finally:
            sys.stdout.flush()
            os._exit(status)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    status = os.waitpid(child, 0)[1]
    shutil.rmtree(place)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return Outcome(HANG if number == signal.SIGALRM else CRASH, signal.Signals(number).name)
    if status or not said:
        return Outcome(UNTYPED, f"the child ended with {status}")
    name, _, how = said.partition("\n")
    return Outcome(name, how)
