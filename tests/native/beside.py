"""Use the module in C beside threads, forks and signals: ``python beside.py threads|forks|callbacks|signals PATH``.

PATH is an LMDB file of :func:`write_base`. A wrong result or a crash ends the program with an error.
"""

from __future__ import annotations

import gc
import os
import pickle
import random
import signal
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lmdb

from coshelf import keys, records

__all__ = ["write_base"]

_VALUE = {"a": [1, 2.5, 2**70, -(2**70)], "b": {"c", "d"}, "e": [(n, str(n), {n: bytes(n)}) for n in range(50)]}
_KEY = ("jobs", 17, ("a", None, b"x"), *range(9))
_LARGE = bytes(range(256)) * 1_000  # bytes: so many that the interpreter's lock is released
_COUNT = 200


def write_base(path: str) -> None:
    """Write the file that the calls read."""
    with lmdb.open(path, subdir=False, map_size=1 << 22) as environment, environment.begin(write=True) as transaction:
        for number in range(_COUNT):
            key, body = keys.encode(number), pickle.dumps([number] * number, 5)
            transaction.put(key, records.seal(body, records.checksum(key, body), number))


class Calls:
    """Every call of the module, and what it has to give."""

    def __init__(self, path: str) -> None:
        from coshelf import _native  # here, since this file is looked through where there is none

        dumps, loads = _native.either("dumps", self.left), _native.either("loads", self.left)
        file, lock = os.open(path, os.O_RDONLY), os.open(f"{path}-lock", os.O_RDONLY)
        reader = _native.BaseReader(file, file, lock)
        data, encoded = pickle.dumps(_VALUE, 5), keys.encode.fallback(_KEY)  # type: ignore[attr-defined]
        crc = zlib.crc32(_LARGE, zlib.crc32(b"key"))
        record = records.seal(_LARGE, crc, 1)

        def open_and_read() -> Any:
            another = _native.BaseReader(file, file, lock, bytearray(8), 4)
            try:
                return another.load(7)
            finally:
                another.close()

        self.all: list[tuple[Callable[[], Any], Any]] = [
            (lambda: dumps(_VALUE), data),
            (lambda: loads(data), _VALUE),
            (lambda: loads(bytearray(data)), _VALUE),
            (lambda: loads(b"\x80\x05c"), "left"),
            (lambda: keys.encode(_KEY), encoded),
            (lambda: keys.decode(encoded), _KEY),
            (lambda: _native.checksum(b"key", _LARGE), crc),
            (lambda: _native.is_intact(b"key", record), True),
            (lambda: reader.load(199), [199] * 199),
            (lambda: reader.get(keys.encode(_COUNT)), None),
            (open_and_read, [7] * 7),
        ]

    def left(self, _: Any) -> Any:
        return "left"

    def check(self, *, beginning: int = 0) -> None:
        for call, expected in self.all[beginning:] + self.all[:beginning]:
            found = call()
            # For a moment dumps and loads may leave everything to Python, after a value that was not for them.
            assert found in (expected, "left"), (found, expected)


@contextmanager
def using(calls: Calls, count: int) -> Iterator[list[int]]:
    """Threads that make all calls meanwhile; how many rounds they made. An error of theirs is raised at the end."""
    rounds, errors, ended = [0] * count, [], threading.Event()

    def use(which: int) -> None:
        try:
            while not ended.is_set():
                calls.check(beginning=which % len(calls.all))
                rounds[which] += 1
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(which,)) for which in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield rounds
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]


def _wait_for(child: int) -> None:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _fork(calls: Calls) -> None:
    """Fork; the child makes all calls, too."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            calls.check()
            status = 0
        finally:
            os._exit(status)
    _wait_for(child)


def threads(calls: Calls) -> None:
    with using(calls, 6) as rounds:
        while min(rounds) < 5:
            time.sleep(0.01)


def forks(calls: Calls) -> None:
    with using(calls, 3) as rounds:
        for number in range(12):
            before = rounds[0]
            _fork(calls)
            while number % 4 == 0 and rounds[0] == before:
                time.sleep(0.001)


def callbacks(calls: Calls) -> None:
    """Fork inside of a call: in __reduce__, in a buffer's method, and in a garbage collection."""
    from coshelf import _native

    first, children = os.getpid(), []

    def fork() -> None:
        if os.getpid() == first:
            child = os.fork()
            if child:
                children.append(child)

    class Forking:
        def __reduce__(self) -> Any:
            fork()
            return (list, ())

        def __buffer__(self, flags: int) -> memoryview:
            fork()
            return memoryview(pickle.dumps(_VALUE, 5))

    class Finalized:
        def __del__(self) -> None:
            fork()

    def collected() -> Any:
        cycle: list[Any] = [Finalized()]
        cycle.append(cycle)
        del cycle
        gc.set_threshold(1)
        found = _native.either("loads", calls.left)(pickle.dumps(_VALUE, 5))
        gc.set_threshold(700)
        gc.collect()
        return found

    several: list[tuple[Callable[[], Any], Any]] = [
        (lambda: _native.either("dumps", lambda value: pickle.dumps(value, 5))([1, Forking()]), None),
        (collected, _VALUE),
    ]
    if sys.version_info >= (3, 12):
        several.append((lambda: _native.either("loads", calls.left)(Forking()), _VALUE))
    for call, expected in several:
        found, status = None, 1
        try:
            found = call()
            assert expected is None or found == expected, found
            calls.check()
            status = 0
        finally:
            if os.getpid() != first:
                os._exit(status)
        assert children
        while children:
            _wait_for(children.pop())


def signals(calls: Calls) -> None:
    """Signals whose handler makes all calls, or raises an error."""

    class Alarm(Exception):
        pass

    chance, raised, handled, caught = random.Random(5), 0, 0, False

    def handle(*_: Any) -> None:
        nonlocal handled
        handled += 1
        if handled % 2 and caught:
            raise Alarm
        signal.setitimer(signal.ITIMER_REAL, 0)
        calls.check()

    signal.signal(signal.SIGALRM, handle)
    while raised < 60:
        try:
            caught = True
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00001, 0.002))
            calls.check(beginning=chance.randrange(len(calls.all)))
            caught = False
        except Alarm:
            caught = False
            raised += 1
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)
    calls.check()


def main() -> None:
    part, path = sys.argv[1:]
    sys.setswitchinterval(0.00001)
    calls = Calls(path)
    calls.check()
    {"threads": threads, "forks": forks, "callbacks": callbacks, "signals": signals}[part](calls)
    print(f"{part} done")


if __name__ == "__main__":
    main()
