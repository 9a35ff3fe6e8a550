"""One contender in a process of its own. Each line of input names a workload; the reply is how long it took.

So contenders take turns in one run, each in the interpreter that has its packages. They share no memory.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from contenders import CONTENDERS
from data import keys, value

QUANTILES = (0.5, 0.99, 0.999, 1.0)


class Worker:
    """The workloads. Each returns seconds, and how many operations it did in them."""

    def __init__(self, name: str, directory: str, count: int, kind: str, clock: str) -> None:
        self._clock = time.process_time if clock == "processor" else time.perf_counter
        self._contender = CONTENDERS[name](directory)
        self._keys = keys(count)
        self._kind = kind
        self._contender.open()

    def load(self, turn: int) -> tuple[float, int]:
        """Store all entries, in ten batches or fewer."""
        batch = max(10_000, len(self._keys) // 10)
        for at in range(0, len(self._keys), batch):
            some = self._keys[at : at + batch]
            self._contender.update({key: value(self._kind, at + number, 0) for number, key in enumerate(some)})
        self._contender.settle()
        return 0.0, 1

    def set(self, turn: int) -> tuple[float, int]:
        some = self._some(self._contender.capped, turn)
        values = [value(self._kind, number, turn) for number in range(len(some))]
        store = self._contender.set
        return self._timed(lambda: [store(key, new) for key, new in zip(some, values, strict=True)], len(some))

    def get(self, turn: int) -> tuple[float, int]:
        some = self._some(20_000, -turn)
        self._contender.settle()
        load = self._contender.get
        return self._timed(lambda: [load(key) for key in some], len(some))

    def few(self, turn: int) -> tuple[float, int]:
        """Gets, so few that each of them finds its page outside the page cache after `cool`."""
        some, load = self._some(2_000, -turn), self._contender.get
        return self._timed(lambda: [load(key) for key in some], len(some))

    def dirty(self, turn: int) -> tuple[float, int]:
        """Gets while a thousand entries have just been written. One in twenty gets one of these."""
        some = self._some(20_000, -turn)
        store, load, new = self._contender.set, self._contender.get, value(self._kind, 0, turn)
        store(some[0], new)
        time.sleep(0.1)  # after a quiet time coshelf flushes at once, and again a second later
        for key in some[::20]:
            store(key, new)
        seconds = 0.0
        for at in range(0, len(some), 1_000):
            piece = some[at : at + 1_000]
            for key in piece[::20]:  # so that it stays dirty after a flush
                store(key, new)
            seconds += self._timed(lambda piece=piece: [load(key) for key in piece], len(piece))[0]  # type: ignore[misc]
        return seconds, len(some)

    def batch(self, turn: int) -> tuple[float, int]:
        some = self._some(self._contender.batch, turn + 1_000)
        entries = {key: value(self._kind, number, turn) for number, key in enumerate(some)}
        return self._timed(lambda: self._contender.update(entries), len(entries))

    def transaction(self, turn: int) -> tuple[float, int]:
        some = self._some(self._contender.batch, turn + 2_000)
        values = [value(self._kind, number, turn) for number in range(len(some))]

        def store() -> None:
            with self._contender.store.transaction() as transaction:
                for key, new in zip(some, values, strict=True):
                    transaction[key] = new

        return self._timed(store, len(some))

    def items(self, turn: int) -> tuple[float, int]:
        self._contender.settle()
        return self._timed(lambda: self._expect(sum(1 for _ in self._contender.items())), len(self._keys))

    def keys(self, turn: int) -> tuple[float, int]:
        self._contender.settle()
        walk = self._contender.keys
        return self._timed(lambda: self._expect(sum(1 for _ in walk())), len(self._keys))

    def prefix(self, turn: int) -> tuple[float, int]:
        chance = random.Random(turn)
        groups = [f"group{chance.randrange(len(self._keys) // 100):06d}/" for _ in range(50)]
        self._contender.settle()

        def look() -> None:
            for group in groups:
                found = self._contender.prefix(group)
                assert found is not None
                assert sum(1 for _ in found) == 100

        return self._timed(look, len(groups))

    def count(self, turn: int) -> tuple[float, int]:
        self._contender.settle()
        return self._timed(lambda: self._expect(self._contender.count()), 1)

    def opening(self, turn: int) -> tuple[float, int]:
        """Open, get and close a store that nothing else has open."""
        some = self._some(5, turn)
        self._contender.close()

        def visit() -> None:
            for key in some:
                self._contender.open()
                self._contender.get(key)
                self._contender.close()

        took = self._timed(visit, len(some))
        self._contender.open()
        return took

    def increment(self, turn: int) -> tuple[float, int]:
        return self._counted(self._contender.increment)

    def modify(self, turn: int) -> tuple[float, int]:
        return self._counted(self._contender.modify)

    def _counted(self, add: Callable[[str], object]) -> tuple[float, int]:
        times = min(self._contender.capped, len(self._keys))
        took = self._timed(lambda: [add("counter") for _ in range(times)], times)
        found = self._contender.get("counter")
        assert found == times, f"{found} after {times} increments"
        self._contender.delete("counter")
        return took

    def latencies(self, turn: int) -> dict[str, float]:
        """Quantiles of the seconds of single sets, one after another."""
        clock, store = self._clock, self._contender.set
        some = self._some(2 * self._contender.capped, turn + 3_000)
        new = value(self._kind, 0, turn)
        took = []
        for key in some:
            begun = clock()
            store(key, new)
            took.append(clock() - begun)
        took.sort()
        return {str(part): took[min(len(took) - 1, int(len(took) * part))] for part in QUANTILES}

    def check(self, turn: int) -> int:
        """How many of the entries that ``set`` stored in a turn are in the store, with the right values."""
        some = self._some(self._contender.capped, turn)
        return sum(
            self._contender.get(key) == value(self._kind, number, turn) for number, key in enumerate(some)
        )  # fmt: skip

    def sets(self, turn: int) -> int:
        """How many entries ``set`` stores in a turn."""
        return len(self._some(self._contender.capped, turn))

    def cool(self, turn: int) -> None:
        """Close the store, take its files out of the page cache, and open it again.

        What a process has mapped would stay in the cache. What is not on disk yet would, too.
        """
        self._contender.close()
        for directory, _, names in os.walk(self._contender.directory):
            for name in names:
                file = os.open(os.path.join(directory, name), os.O_RDONLY)
                os.fsync(file)
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(file)
        self._contender.open()

    def close(self, turn: int) -> None:
        self._contender.close()

    def open(self, turn: int) -> None:
        self._contender.open()

    def _some(self, count: int, turn: int) -> list[str]:
        """Different keys: always the same ones for the same turn."""
        return random.Random(turn).sample(self._keys, min(count, len(self._keys)))

    def _timed(self, work: Callable[[], Any], operations: int) -> tuple[float, int]:
        gc.collect()
        gc.disable()
        try:
            begun = self._clock()
            work()
            return self._clock() - begun, operations
        finally:
            gc.enable()

    def _expect(self, found: int) -> None:
        assert found == len(self._keys), f"{found} entries instead of {len(self._keys)}"


def main() -> None:
    name, directory, count, kind, clock = sys.argv[1:]
    worker = Worker(name, directory, int(count), kind, clock)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        what, turn = json.loads(line)
        try:
            reply = getattr(worker, what)(turn)
        except Exception as error:
            reply = {"failed": repr(error)}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
