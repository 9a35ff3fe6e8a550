"""The workers of one process: a thread for each, until they are told to stop."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress

from django.db import close_old_connections, connections

from coshelf.contrib.django.tasks.worker import Worker

__all__ = ["Crew"]

_LOOK = 1.0  # seconds until a waiting worker looks whether it is to stop


class Crew:
    """Workers in threads. If one of them fails, all stop.

    Args:
        workers: each runs the tasks of its queue, one after the other.
        until_empty: whether a worker stops when its queue has no task to run now.
    """

    def __init__(self, workers: Sequence[Worker], until_empty: bool = False) -> None:
        self._threads = [threading.Thread(target=self._work, args=(each,), name=each.name) for each in workers]
        self._until_empty = until_empty
        self._stopping = threading.Event()
        self._errors: list[BaseException] = []

    def stop(self) -> None:
        """Let each worker stop when its task has ended. A signal handler may call it."""
        self._stopping.set()

    def run(self) -> None:
        """Run until all workers have stopped.

        Raises:
            BaseException: what ended a worker, such as an error of the shelf. Errors of tasks do not.
        """
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _work(self, worker: Worker) -> None:
        try:
            while not self._stopping.is_set():
                close_old_connections()
                found = worker.run_one(0 if self._until_empty else _LOOK)
                close_old_connections()
                if self._until_empty and not found:
                    break
        except BaseException as error:  # run() raises it
            self._errors.append(error)
            self._stopping.set()
        finally:
            with suppress(Exception):  # a broken connection must not hide how the worker ended
                connections.close_all()
