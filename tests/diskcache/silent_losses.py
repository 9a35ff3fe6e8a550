"""What diskcache loses without a word: ``python silent_losses.py``.

Prints a table of docs/coming-from-diskcache.md, for diskcache and for coshelf.diskcache. Each row is a fault of
diskcache that shows with little data and in little time.
"""

from __future__ import annotations

import importlib
import math
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

MODULES = ("diskcache", "coshelf.diskcache")
MEBIBYTE = 1 << 20


def named(module: str) -> Any:
    """The module of a name."""
    return importlib.import_module(module)


def forked(work: Callable[[], object]) -> int:
    """Run work in a forked process, which then waits to be killed. Return its process id when the work is done."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        done = os.read(reading, 1)
        os.close(reading)
        assert done, "the work failed"
        return pid
    try:
        work()
        os.write(writing, b"1")
        while True:
            signal.pause()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def killed(pid: int) -> None:
    """Kill a process, as power does."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def ends_within(seconds: float, work: Callable[[], object]) -> bool:
    """Whether work ends in time that a forked process does."""
    pid = os.fork()
    if not pid:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert status == 0, "the work failed"
            return True
        time.sleep(0.01)
    killed(pid)
    return False


def lock_after_a_kill(module: str, place: Path, kind: str, patience: float) -> str:
    """Whether a lock is free whose holder was killed."""
    m = named(module)

    def lock() -> Any:
        return getattr(m, kind)(m.Cache(str(place / "cache")), "lock")

    killed(forked(lambda: lock().acquire()))
    return "yes" if ends_within(patience, lambda: lock().acquire()) else "no"


def processor_time_of_a_waiter(module: str, place: Path, seconds: float = 2.0) -> float:
    """Seconds of processor time that a process uses that waits for a lock, for each second that it waits."""
    m = named(module)
    lock = m.Lock(m.Cache(str(place / "cache")), "lock")
    lock.acquire()
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        waiter = m.Lock(m.Cache(str(place / "cache")), "lock")
        waiter.locked()  # everything is open
        before = time.process_time()
        waiter.acquire()
        os.write(writing, str(time.process_time() - before).encode())
        os._exit(0)
    time.sleep(seconds)
    lock.release()
    used = float(os.read(reading, 100))
    os.waitpid(pid, 0)
    os.close(reading)
    os.close(writing)
    return used / seconds


def value_after_a_rollback(module: str, place: Path, how: str) -> str:
    """What is left of a value of 40,000 bytes that a block replaced or deleted which then raised."""
    cache = named(module).Cache(str(place / "cache"))
    old = b"o" * 40_000
    cache["key"] = old
    try:
        with cache.transact():
            if how == "replaced":
                cache["key"] = b"n" * 40_000
            else:
                del cache["key"]
            raise InterruptedError
    except InterruptedError:
        pass
    return "the value" if cache.get("key") == old else "nothing"


def carriage_returns(module: str, place: Path) -> str:
    """Whether a text of 40,000 characters comes back as it was stored."""
    cache = named(module).Cache(str(place / "cache"))
    text = "a\r\n" * 13_000 + "\r"
    cache["key"] = text
    found = cache["key"]
    return "the same text" if found == text else f"{len(text) - len(found):,} characters fewer"


def not_a_number(module: str, place: Path) -> object:
    """What is read that was stored as NaN."""
    cache = named(module).Cache(str(place / "cache"))
    cache["key"] = math.nan
    return cache["key"]


def default_limit(module: str, place: Path) -> int:
    """How many of 20 values stay whose disk says that each has 128 MiB, in a cache without a limit of its own."""
    m = named(module)

    class Claiming(m.Disk):  # type: ignore[misc, name-defined]
        def store(self, value: Any, read: bool, key: Any = m.UNKNOWN) -> Any:
            _, mode, filename, stored = super().store(value, read, key=key)
            return 128 * MEBIBYTE, mode, filename, stored

    cache = m.Cache(str(place / "cache"), disk=Claiming)
    for number in range(20):
        cache[number] = b"value"
    return len(cache)


def limit_after_reopening(module: str, place: Path) -> int:
    """Bytes in a FanoutCache with a limit of 2 MiB that was closed and opened again, after 10 MiB were stored."""
    m = named(module)
    m.FanoutCache(str(place / "cache"), shards=4, size_limit=2 * MEBIBYTE).close()
    cache = m.FanoutCache(str(place / "cache"), shards=4)
    for number in range(160):
        cache[number] = b"v" * (64 << 10)
    size: int = cache.volume()
    return size


def keys_with_other_shards(module: str, place: Path) -> int:
    """How many of 100 keys are found by a FanoutCache that is opened with another number of shards."""
    m = named(module)
    with m.FanoutCache(str(place / "cache"), shards=4) as cache:
        for number in range(100):
            cache[f"key {number}"] = number
    cache = m.FanoutCache(str(place / "cache"), shards=8)
    return sum(f"key {number}" in cache for number in range(100))


def disk_of_a_named_cache(module: str, place: Path) -> str:
    """The class of disk of a cache in a FanoutCache that was asked for with JSONDisk."""
    m = named(module)
    named_cache = m.FanoutCache(str(place / "cache"), shards=2).cache("part", disk=m.JSONDisk)
    return type(named_cache.disk).__name__


def equal_tuples(module: str, place: Path) -> int:
    """How often a memoized function runs for two calls with equal arguments, of which one has the same object twice."""
    cache = named(module).Cache(str(place / "cache"))
    calls = []

    @cache.memoize()
    def joined(pair: tuple[str, str]) -> str:
        calls.append(pair)
        return "".join(pair)

    text, equal_text = "word " + str(len(calls)), "word " + str(len(calls))
    joined((text, text))
    joined((text, equal_text))
    return len(calls)


def small_limit(module: str, place: Path) -> int:
    """How many of 30 values of 100 bytes stay in a cache with a limit of 20,000 bytes."""
    cache = named(module).Cache(str(place / "cache"), size_limit=20_000)
    for number in range(30):
        cache[number] = b"v" * 100
    return len(cache)


class Planted:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)


def planted_value(module: str, place: Path) -> str:
    """Whether reading a value of a copied directory runs the code that is planted in it."""
    m, ran = named(module), place / "ran"
    with m.Cache(str(place / "theirs")) as theirs:
        theirs["key"] = Planted(str(ran))
    shutil.copytree(place / "theirs", place / "copied")
    cache = m.Cache(str(place / "copied"))
    try:
        cache["key"]
    except Exception as error:
        return "runs" if ran.exists() else f"`{type(error).__name__}`"
    return "runs" if ran.exists() else "does not run"


def second_call_without_expiry(module: str, place: Path) -> str:
    """How the second call of a function ends that ``memoize_stampede`` keeps for ever."""
    m = named(module)
    cache = m.Cache(str(place / "cache"))
    function = m.memoize_stampede(cache, expire=None)(lambda: 1)
    function()
    try:
        return f"{function()}, the result"
    except TypeError as error:
        return f"`{type(error).__name__}`"


def throttled_in_two_processes(module: str, place: Path) -> int:
    """How many calls run within a second that two processes make of a function that may run 3 times a minute."""
    m = named(module)
    done = 0

    class Late(Exception):
        pass

    def late(seconds: float) -> None:
        raise Late

    for _ in range(2):  # each decorates, as a process does that starts
        cache = m.Cache(str(place / "cache"))

        @m.throttle(cache, 3, 60, name="call", sleep_func=late)
        def call() -> None:
            pass

        try:
            for _ in range(10):
                call()
                done += 1
        except Late:
            continue
    return done


def percent(part: float) -> str:
    return f"{part:.1%}"


def mebibytes(size: int) -> str:
    return f"{size / MEBIBYTE:.1f} MiB"


ROWS: tuple[tuple[str, Callable[[str, Path], Any], Callable[[Any], str]], ...] = (
    *(
        (
            f"the holder of a `{kind}` was killed: another process has it within 5 s",
            partial(lock_after_a_kill, kind=kind, patience=5),
            str,
        )
        for kind in ("Lock", "RLock", "BoundedSemaphore")
    ),
    ("processor time of a process that waits for a lock", processor_time_of_a_waiter, percent),
    *(
        (
            f"a block {how} a value of 40,000 bytes and raised: the key has",
            partial(value_after_a_rollback, how=how),
            str,
        )
        for how in ("replaced", "deleted")
    ),
    ("a text of 39,001 characters with `\\r\\n` comes back as", carriage_returns, str),
    ("NaN comes back as", not_a_number, str),
    ("no limit was set, 20 values of 128 MiB were stored: exist", default_limit, str),
    ("a limit of 20,000 bytes, 30 values of 100 bytes were stored: exist", small_limit, str),
    (
        "`FanoutCache` with a limit of 2 MiB, opened again, 10 MiB were stored: it has",
        limit_after_reopening,
        mebibytes,
    ),
    ("`FanoutCache` opened with 8 shards after 4: of 100 keys are found", keys_with_other_shards, str),
    ('`FanoutCache.cache("part", disk=JSONDisk)` has a', disk_of_a_named_cache, str),
    ("a memoized function is called with equal tuples twice: it runs", equal_tuples, str),
    ("`memoize_stampede(cache, expire=None)`: the second call gives", second_call_without_expiry, str),
    ("at most 3 calls a minute by `throttle`, decorated in two processes: run", throttled_in_two_processes, str),
    ("a copied directory with a planted pickle: its code", planted_value, str),
)


def main() -> None:
    print("| | diskcache | coshelf.diskcache |\n| --- | --- | --- |")
    for words, measure, told in ROWS:
        cells = []
        for module in MODULES:
            with tempfile.TemporaryDirectory() as place, multiprocessing.get_context("fork").Pool(1) as process:
                cells.append(told(process.apply(measure, (module, Path(place)))))
        print(f"| {words} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
