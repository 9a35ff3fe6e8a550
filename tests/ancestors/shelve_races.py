"""What several processes and a SIGKILL do to a shelf: ``python shelve_races.py [coshelf|gnu|ndbm|dumb|sqlite3 ...]``.

Prints the table of docs/coming-from-shelve.md, for the backends that this Python has.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import Any

Opener = Callable[[str, str], Any]


def opener(kind: str) -> Opener:
    """How a shelf is opened: by ours, or by the standard library's shelve on one backend."""
    if kind == "coshelf":
        from coshelf import shelve as ours

        return ours.open
    import dbm
    import shelve

    module: Any = importlib.import_module(f"dbm.{kind}")

    def open_it(path: str, flag: str) -> Any:
        vars(dbm)["_defaultmod"] = vars(dbm)["_modules"][f"dbm.{kind}"] = module
        return shelve.open(path, flag)  # type: ignore[arg-type]

    return open_it


def crowd(number: int, work: Callable[..., None], *arguments: Any) -> int:
    """Run processes that begin together; return how many failed."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(number)
    failures = context.Value("i", 0)

    def run(name: int) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        barrier.wait()
        try:
            work(name, *arguments)
        except Exception:
            with failures.get_lock():
                failures.value += 1

    processes = [context.Process(target=run, args=(name,)) for name in range(number)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return failures.value


def create(kind: str, directory: str) -> str:
    failed = 0
    for turn in range(20):

        def work(name: int, path: str = f"{directory}/new {turn}") -> None:
            opener(kind)(path, "c").close()

        failed += crowd(6, work)
    return f"{failed} of 120 fail" if failed else "all 120 open"


def fill(kind: str, directory: str) -> str:
    path = f"{directory}/filled"
    opener(kind)(path, "c").close()

    def work(name: int) -> None:
        with opener(kind)(path, "c") as shelf:
            for number in range(2000):
                shelf[f"{name} {number}"] = number

    failed = crowd(4, work)
    try:
        with opener(kind)(path, "r") as shelf:
            there = sum(1 for name in range(4) for number in range(2000) if f"{name} {number}" in shelf)
    except Exception as error:
        return f"unreadable: {type(error).__name__}"
    return f"{there:,} of 8,000" + (f", {failed} of 4 cannot open" if failed else "")


def kill(kind: str, directory: str) -> str:
    path = f"{directory}/killed"
    with opener(kind)(path, "c") as shelf:
        for number in range(200):
            shelf[str(number)] = "old"
    pid = os.fork()
    if not pid:
        shelf = opener(kind)(path, "w")
        for number in range(200):
            shelf[str(number)] = "new"
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    try:
        shelf = opener(kind)(path, "r")
    except Exception as error:
        return f"unreadable: {type(error).__name__}"
    with shelf:
        return f"{sum(shelf.get(str(number)) == 'new' for number in range(200))} of 200 new"


def thread(kind: str, directory: str) -> str:
    import threading

    failures: list[BaseException] = []
    with opener(kind)(f"{directory}/threads", "c") as shelf:

        def work(name: int) -> None:
            try:
                for number in range(200):
                    shelf[f"{name} {number}"] = number
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        return f"{type(failures[0]).__name__}" if failures else f"{len(shelf)} of 800"


def main() -> None:
    for kind in sys.argv[1:] or ["coshelf", "gnu", "ndbm", "dumb", "sqlite3"]:
        for trial in (create, fill, kill, thread):
            with tempfile.TemporaryDirectory() as directory:
                try:
                    print(f"{kind:8} {trial.__name__:8} {trial(kind, directory)}", flush=True)
                except ImportError:
                    print(f"{kind:8} is not there")
                    break


if __name__ == "__main__":
    main()
