"""Pools of processes that write through a shelf which was opened before them: ``pool_of_processes.py METHOD PATH``."""

from __future__ import annotations

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import coshelf


def visit(shelf: Any, name: str) -> int:
    """Count a visit, in whichever process. The shelf was pickled to it."""
    shelf["visits/" + name] = os.getpid()
    return int(shelf.modify("count", lambda count: count + 1, default=0))


def main(method: str, path: str, visits: int) -> None:
    with coshelf.open(path) as shelf:
        shelf["started"] = True
        context = multiprocessing.get_context(method)
        with context.Pool(3) as pool:
            pool.starmap(visit, [(shelf, f"pool/{number}") for number in range(visits)])
        with ProcessPoolExecutor(3, mp_context=context) as executor:
            list(executor.map(visit, [shelf] * visits, [f"executor/{number}" for number in range(visits)]))
        shelf["ended"] = True


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
