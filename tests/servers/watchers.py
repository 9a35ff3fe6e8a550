"""Processes that watch a shelf, and the check that they are told what its writers have done.

The writers are those of ``writers.py``: each sets its entries to growing numbers, and all count one counter up. So the
changes of the counter show at once whether one was lost, doubled, or told in another order than it was committed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from writers import Told

import coshelf

__all__ = ["Seen", "Watcher", "check_all_told", "watching"]

PATIENCE = 300.0
END = "the end"


@dataclass(frozen=True)
class Seen:
    """A change.

    Attributes:
        key: the key. A tuple comes as a list.
        kind: as of a change.
        value: the value.
        version: where to go on after it.
    """

    key: Any
    kind: str
    value: Any
    version: int | str


def watch(url: str, since: int | str | None) -> None:
    """Watch until the entry :data:`END` is stored, and write each change as a line."""
    with coshelf.open(url, timeout=60) as shelf:
        since = shelf.version if since is None else since
        print(json.dumps(since), flush=True)
        for change in shelf.watch(since=since):
            value = None if change.kind != "set" else change.value
            print(json.dumps([change.key, change.kind, value, change.version]), flush=True)
            if change.key == END:
                return


class Watcher:
    """A process that watches from a version on.

    Attributes:
        seen: the changes that it was told.
        begin: the version from which on it watches.
    """

    def __init__(self, url: str, since: int | str | None = None) -> None:
        self.seen: list[Seen] = []
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (closed by end)
        self._process = subprocess.Popen(
            [sys.executable, __file__, url, json.dumps(since)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        assert first, self._how_it_ended()
        self.begin: int | str = json.loads(first)
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.endswith("\n"):  # it was killed in the middle of a line
                continue
            with self._news:
                self.seen.append(Seen(*json.loads(line)))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait(self, is_enough: Callable[[list[Seen]], bool]) -> None:
        """Wait until it has been told enough."""
        end = time.monotonic() + PATIENCE
        with self._news:
            while not is_enough(self.seen):
                assert self._thread.is_alive(), self._how_it_ended()
                assert time.monotonic() < end, f"still waiting after {self.seen[-5:]}"
                self._news.wait(1)

    def more(self, count: int) -> None:
        """Wait until it has been told so many changes more."""
        already = len(self.seen)
        self.wait(lambda seen: len(seen) >= already + count)

    def to_the_end(self, shelf: coshelf.Shelf[Any, Any]) -> list[Seen]:
        """All that it was told up to now."""
        shelf[END] = time.time()
        self._thread.join(PATIENCE)
        assert self._process.wait(PATIENCE) == 0, self._how_it_ended()
        assert [each.key for each in self.seen[-1:]] == [END]
        return self.seen[:-1]

    def kill(self) -> list[Seen]:
        """Send SIGKILL; return what it had been told."""
        self._process.kill()
        self._process.wait()
        self._thread.join(PATIENCE)
        return self.seen

    def _how_it_ended(self) -> str:
        self._process.kill()
        code = self._process.wait()
        self._errors.seek(0)
        return f"the watcher ended with {code}:\n{self._errors.read()}"

    def end(self) -> None:
        self.kill()
        self._errors.close()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def watching(url: str, since: int | str | None = None) -> Iterator[Watcher]:
    """A process that watches. It ends with the block."""
    watcher = Watcher(url, since)
    try:
        yield watcher
    finally:
        watcher.end()


def check_all_told(seen: list[Seen], shelf: coshelf.Shelf[Any, Any], all_told: list[Told] | None = None) -> None:
    """Assert that all changes of the writers were told once, in order.

    Without what the writers have noted, because they were killed, each of their numbers must have been told.
    """
    assert [each for each in seen if each.kind != "set"] == []
    assert [each.value for each in seen if each.key == "count"] == list(range(1, shelf.get("count", 0) + 1))
    last = {json.dumps(each.key): each.value for each in seen}
    there = {json.dumps(key): value for key, value in shelf.items() if key != END}
    assert last == there
    numbers: dict[int, list[int]] = {}
    for each in seen:
        if each.key != "count":
            numbers.setdefault(each.key[0], []).append(each.value)
    for name, given in numbers.items():
        assert given == sorted(set(given)), f"writer {name}"
        told = next((told for told in all_told or () if told.name == name), None)
        missing = given[-1] - len(given)
        assert missing <= (0 if told is None else told.unknown + len(told.failed)), f"writer {name}"


if __name__ == "__main__":
    watch(sys.argv[1], json.loads(sys.argv[2]))
