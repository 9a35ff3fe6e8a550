"""Threads that do everything with one shelf. Started with a target, and the numbers of threads and rounds.

On free-threaded Python: ``PYTHON_GIL=0 python tests/threads/scripts/stress.py memory: 8 3000``.
"""

from __future__ import annotations

import contextlib
import random
import sys
import threading
import traceback
from typing import Any

import coshelf


def work(shelf: coshelf.Shelf[Any, Any], number: int, rounds: int, counted: list[int], errors: list[str]) -> None:
    """Do some of everything, and count what was added to the counter."""
    generator, added = random.Random(number), 0
    try:
        for _ in range(rounds):
            key = f"k{generator.randrange(10)}"
            act = generator.randrange(12)
            if act == 0:
                shelf[key] = generator.random()
            elif act == 1:
                shelf.get(key)
                shelf.pop(key, None)
            elif act == 2:
                shelf.setdefault(key, number)
            elif act == 3:
                shelf.modify("n", lambda n: n + 1)
                added += 1
            elif act == 4:
                shelf.incr("n")
                added += 1
            elif act == 5:
                with shelf.transaction() as transaction:
                    transaction["n"] = transaction["n"] + 1
                added += 1
            elif act == 6:
                list(shelf.items(prefix="k"))
                len(shelf)
            elif act == 7:
                shelf.update({key: 1, "k0": 2})
            elif act == 8:
                with shelf.lock(f"lock{generator.randrange(2)}"):
                    pass
            elif act == 9:
                shelf.queue("q").put(number)
                shelf.queue("q").get(timeout=0)
            elif act == 10:
                with shelf.snapshot() as snapshot:
                    snapshot.get(key)
            else:
                shelf.set(key, 1, expire=0.01)
                with shelf.watch() as watch:
                    watch.next(timeout=0)
    except BaseException:
        errors.append(traceback.format_exc())
    counted.append(added)


def main() -> None:
    target, threads, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    sys.setswitchinterval(1e-6)
    counted: list[int] = []
    errors: list[str] = []
    opened = coshelf.open({} if target == "mapping" else target)
    with contextlib.closing(opened) as shelf:
        shelf["n"] = 0
        workers = [
            threading.Thread(target=work, args=(shelf, number, rounds, counted, errors)) for number in range(threads)
        ]
        for each in workers:
            each.start()
        for each in workers:
            each.join()
        assert not errors, "\n".join(errors)
        assert shelf["n"] == sum(counted), (shelf["n"], counted)
    is_locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(sum(counted), "added,", "with" if is_locked else "without", "the interpreter's lock")


main()
