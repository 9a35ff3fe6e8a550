"""Kill processes that use one shelf: ``python log_storm.py PATH SEED KILLS``.

The processes are forked from this one. Each has a row of words in shared memory: what it attempted, what was
acknowledged, and what it has seen. A process that takes the place of a killed one goes on from its words. Prints the
number of kills and of commits.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import coshelf

BATCH = 4
PUTTERS = (0, 1)
BATCHER = 2
COUNTERS = (3, 4)
WRITERS = 5
SEEN = 3 * WRITERS  # from here on: what readers have seen, of each writer's key, and of the sum
WAIT = 300


class Storm:
    def __init__(self, path: str, seed: int) -> None:
        self._path = path
        self._random = random.Random(seed)
        self._words = memoryview(mmap.mmap(-1, 4096)).cast("Q")
        self._roles: list[Callable[[Any], None]] = [
            *(self._putting(writer) for writer in PUTTERS),
            self._batching,
            self._modifying,
            self._adding,
            self._reading,
            self._reading,
            self._flushing,
        ]

    # --- what the processes do ---------------------------------------------------------------------------------------

    def _attempted(self, writer: int) -> int:
        return self._words[3 * writer]

    def _acknowledged(self, writer: int) -> int:
        """How many attempts were acknowledged."""
        return self._words[3 * writer + 1]

    def _last_acknowledged(self, writer: int) -> int:
        """The number of the last attempt that was acknowledged."""
        return self._words[3 * writer + 2]

    def _noting(self, writer: int, write: Callable[[int], None]) -> None:
        number = self._words[3 * writer] = self._attempted(writer) + 1
        write(number)
        self._words[3 * writer + 1] += 1
        self._words[3 * writer + 2] = number

    def _putting(self, writer: int) -> Callable[[Any], None]:
        def put(shelf: Any) -> None:
            self._noting(writer, lambda number: shelf.__setitem__(f"put{writer}", [number, "x" * (number % 700)]))

        return put

    def _batching(self, shelf: Any) -> None:
        self._noting(BATCHER, lambda number: shelf.update({f"batch{i}": [number] for i in range(BATCH)}))

    def _modifying(self, shelf: Any) -> None:
        self._noting(COUNTERS[0], lambda _: shelf.modify("sum", lambda value: value + 1, 0))

    def _adding(self, shelf: Any) -> None:
        self._noting(COUNTERS[1], lambda _: shelf.incr("sum"))

    def _flushing(self, shelf: Any) -> None:
        shelf.sync()
        time.sleep(0.005)

    def _reading(self, shelf: Any) -> None:
        for writer in PUTTERS:
            self._see(writer, self._last_acknowledged(writer), partial(self._last_put, shelf, writer))
        self._see(BATCHER, self._last_acknowledged(BATCHER), lambda: self._whole_batch(shelf))
        self._see(WRITERS, self._acknowledged_sum(), lambda: shelf.get("sum", 0))

    def _last_put(self, shelf: Any, writer: int) -> int:
        found: int = shelf.get(f"put{writer}", [0])[0]
        return found

    def _acknowledged_sum(self) -> int:
        return sum(map(self._acknowledged, COUNTERS))

    def _whole_batch(self, shelf: Any) -> int:
        found = {value[0] for _, value in shelf.items(prefix="batch")}
        if len(found) > 1:
            self._fail(f"a batch is torn: {sorted(found)}")
        return found.pop() if found else 0

    def _see(self, place: int, acknowledged: int, read: Callable[[], int]) -> None:
        before = max(self._words[SEEN + place], acknowledged)
        found = read()
        if found < before:
            self._fail(f"a reader of {place} goes back from {before} to {found}")
        self._words[SEEN + place] = max(found, before)

    def _fail(self, sentence: str) -> NoReturn:
        print(sentence, file=sys.stderr, flush=True)
        os._exit(1)

    # --- the parent --------------------------------------------------------------------------------------------------

    def _start(self, role: Callable[[Any], None]) -> int:
        child = os.fork()
        if child:
            return child
        try:
            shelf = coshelf.open(self._path, flush_interval=0.05)
            while True:
                role(shelf)
        except BaseException as error:
            self._fail(f"{role} failed: {error!r}")

    def run(self, kills: int) -> None:
        children = [self._start(role) for role in self._roles]
        try:
            for _ in range(kills):
                time.sleep(self._random.uniform(0, 0.03))
                place = self._random.randrange(len(children))
                self._end(children[place])
                children[place] = self._start(self._roles[place])
            self._await_progress()
        finally:
            for child in children:
                self._end(child)
        self.verify()
        commits = sum(map(self._acknowledged, range(WRITERS)))
        print(f"{kills} kills, {commits} commits acknowledged")

    def _end(self, child: int) -> None:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            raise SystemExit(f"a process ended by itself with the status {status}")
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            raise SystemExit(f"a process ended with the status {status}")

    def _await_progress(self) -> None:
        """Wait until each writer has committed again: no death keeps the others out."""
        behind = [self._acknowledged(writer) for writer in range(WRITERS)]
        end = time.monotonic() + WAIT
        while any(self._acknowledged(writer) == behind[writer] for writer in range(WRITERS)):
            if time.monotonic() > end:
                raise SystemExit("a writer waits for ever")
            time.sleep(0.01)

    def verify(self) -> None:
        """Nothing acknowledged is lost, nothing is there that nobody attempted, and numbers are unique and rise."""
        with coshelf.open(self._path) as shelf:
            for _ in range(2):
                for writer in PUTTERS:
                    self._check(f"put{writer}", shelf[f"put{writer}"][0], writer)
                self._check("batch", self._whole_batch(shelf), BATCHER)
                least, most = self._acknowledged_sum(), sum(map(self._attempted, COUNTERS))
                if not max(least, self._words[SEEN + WRITERS]) <= shelf["sum"] <= most:
                    raise SystemExit(f"the sum is {shelf['sum']} for {least} to {most} increments")
                versions: list[Any] = [shelf.record(key).version for key in ("put0", "put1", "batch0", "sum")]
                if len(set(versions)) < len(versions):
                    raise SystemExit(f"numbers are not unique: {versions}")
                shelf["last"] = 1
                last: Any = shelf.record("last").version
                if last <= max(versions):
                    raise SystemExit(f"numbers do not rise: {versions}")
                shelf.sync()

    def _check(self, key: str, found: int, writer: int) -> None:
        least, most = max(self._words[SEEN + writer], self._last_acknowledged(writer)), self._attempted(writer)
        if not least <= found <= most:
            raise SystemExit(f"{key} is {found}; {least} was acknowledged or seen, and {most} attempted")


if __name__ == "__main__":
    storm = Storm(sys.argv[1], int(sys.argv[2]))
    storm.run(int(sys.argv[3]))
