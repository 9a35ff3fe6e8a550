"""Takes a lock, and puts, takes and ends jobs, until its input ends. Writes what it did to a file.

Arguments: the URL of the shelf, the name of the worker, the file.
"""

from __future__ import annotations

import json
import queue
import signal
import sys
import threading
import time
from typing import Any

import coshelf
from coshelf.errors import CoshelfError, OutcomeUnknown, TurnLost

url, name, file_name = sys.argv[1:]
over = threading.Event()
file = open(file_name, "a", buffering=1)
signal.alarm(900)


def note(*what: object) -> None:
    file.write(json.dumps(what) + "\n")


def listen() -> None:
    for _ in sys.stdin:
        pass
    over.set()


def take_turns(shelf: coshelf.Shelf[Any, Any]) -> None:
    while not over.is_set():
        asked = time.monotonic()
        try:
            with shelf.lock("the lock", timeout=5) as turn:
                began = ended = time.monotonic()
                for _ in range(4):
                    looked = time.monotonic()
                    if turn.lost:
                        break
                    ended = looked
                    over.wait(0.05)
                note("held", name, turn.token, asked, began, ended)
        except TurnLost:
            note("error", "TurnLost")
        except CoshelfError as error:
            note("error", type(error).__name__)


def put_jobs(shelf: coshelf.Shelf[Any, Any]) -> None:
    jobs, number = shelf.queue("jobs"), 0
    while not over.is_set():
        number += 1
        job = f"{name}-{number}"
        try:
            jobs.put(job)
        except OutcomeUnknown:
            note("perhaps", job)
        except CoshelfError as error:
            note("perhaps", job)
            note("error", type(error).__name__)
        else:
            note("put", job)
        over.wait(0.05)


def do_jobs(shelf: coshelf.Shelf[Any, Any]) -> None:
    jobs = shelf.queue("jobs")
    while not over.is_set():
        try:
            with jobs.take(timeout=2) as job:
                note("done", job)  # before the commit: a job that is done without a note would count as lost
        except queue.Empty:
            continue
        except CoshelfError as error:
            note("error", type(error).__name__)


with coshelf.open(url, timeout=10) as opened:
    threading.Thread(target=listen, daemon=True).start()
    print("ready", flush=True)
    work = [threading.Thread(target=each, args=(opened,)) for each in (take_turns, put_jobs, do_jobs)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
