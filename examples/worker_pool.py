"""A pool of worker processes that share a queue of jobs. One of them is killed, and no job is lost or done twice.

    python worker_pool.py [--shelf FILE] [--jobs NUMBER] [--workers NUMBER] [--kill]

A worker stores a result and ends its job in one commit. So at any moment each job is either waiting, or with a worker,
or has its result. With ``--kill`` the first worker is killed in the middle of a job, which another worker then does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
from queue import Empty
from typing import Any

import coshelf

PATIENCE = 60.0  # seconds


def work(path: str, dies_at: int | None) -> None:
    """Do jobs until there are none."""
    with coshelf.open(path) as shelf:
        jobs, results = shelf.queue("jobs"), shelf.sub("results")
        while True:
            try:
                with jobs.take(block=False) as number:
                    if number == dies_at:
                        os.kill(os.getpid(), signal.SIGKILL)
                    with results.transaction() as transaction:
                        transaction[number] = number * number
                        transaction[number, "by"] = os.getpid()
                        jobs.done()
            except Empty:
                return


def run(path: str, jobs: int, workers: int, *, kill: bool = False) -> dict[int, Any]:
    """Put jobs, have workers do them, and return the results by job."""
    with coshelf.open(path) as shelf:
        queue = shelf.queue("jobs")
        queue.put_many(range(jobs))
        started = [
            multiprocessing.Process(target=work, args=(path, 0 if kill and number == 0 else None))
            for number in range(workers)
        ]
        first, *others = started
        first.start()
        if kill:
            first.join()  # it was killed with its first job, so the others find that job, too
        for worker in others:
            worker.start()
        for worker in started:
            worker.join()
        queue.join(timeout=PATIENCE)
        results = shelf.sub("results")
        return {key: value for key, value in results.items() if isinstance(key, int)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shelf", help="default: a temporary file")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kill", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        results = run(given.shelf or os.path.join(directory, "pool.shelf"), given.jobs, given.workers, kill=given.kill)
    print(f"{len(results)} results of {given.jobs} jobs")
    return 0 if len(results) == given.jobs else 1


if __name__ == "__main__":
    sys.exit(main())
