"""Several requests at the same time: a bounded number of threads, started when they are first needed.

Inside a bridge these are tasks of the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeAlias, TypeVar, cast

from coshelf.engines.closed import closed_shelf
from coshelf.engines.objects.loop_tasks import LoopTask, begun_on_loop, results_on_loop
from coshelf.system.threads.bridge import is_bridged
from coshelf.system.threads.cooperation import acquire, can_start_threads, new_lock, new_reentrant_lock
from coshelf.system.threads.per_loop import PerLoop

__all__ = ["MOST", "Begun", "Workers"]

T = TypeVar("T")
Begun: TypeAlias = "Future[T] | LoopTask[T]"
"""A task that was begun."""

MOST = 16
"""Requests of one engine at the same time."""
_PATIENCE = 1.0  # seconds, far more than it takes to hand tasks over


class Workers:
    """Threads that wait for servers. At the interpreter's end no thread can be started: the caller does the work.

    An executor has a lock that a finalizer could wait for without end: in the thread that has the lock, or in a thread
    that is just beginning, for which the other one waits. So a lock of our own comes first, with a limit.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._lock = new_reentrant_lock()
        self._handing_over = new_lock()
        self._executor: ThreadPoolExecutor | None = None
        self._closed = False
        self._places = PerLoop(lambda: asyncio.Semaphore(MOST), _nothing_to_close)

    def later(self, tasks: Sequence[Callable[[], T]]) -> list[Begun[T]]:
        """Begin tasks; return their futures."""
        if is_bridged():
            self._refuse_closed()
            return list(begun_on_loop(tasks, self._places.here()))
        return list(self._later(tasks))

    def _refuse_closed(self) -> None:
        if self._closed:
            raise closed_shelf(self._where)

    def _later(self, tasks: Sequence[Callable[[], T]]) -> list[Future[T]]:
        with self._lock:
            self._refuse_closed()
            if not can_start_threads():
                return _done_here(tasks)
            if self._executor is None:
                self._executor = ThreadPoolExecutor(MOST, thread_name_prefix="coshelf-objects")
            executor = self._executor
        if not acquire(self._handing_over, _PATIENCE):
            return _done_here(tasks)
        try:
            return self._handed_over(executor, tasks)
        finally:
            self._handing_over.release()

    @staticmethod
    def _handed_over(executor: ThreadPoolExecutor, tasks: Sequence[Callable[[], T]]) -> list[Future[T]]:
        futures: list[Future[T]] = []
        for task in tasks:
            try:
                futures.append(executor.submit(task))
            except RuntimeError as error:
                # Executors refuse work before the main thread counts as ended, while other threads still run.
                if "interpreter shutdown" not in str(error):
                    raise
                return futures + _done_here(tasks[len(futures) :])
        return futures

    def all(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """The results of tasks, in their order. If a task fails, no further task is begun, and its error is raised."""
        if len(tasks) == 1:
            return [tasks[0]()]
        return self.results(self.later(tasks))

    @staticmethod
    def results(begun: Sequence[Begun[T]]) -> list[T]:
        """The results of tasks that were begun, as :meth:`all`."""
        if begun and isinstance(begun[0], LoopTask):
            return results_on_loop(cast("Sequence[LoopTask[T]]", begun))
        futures = cast("Sequence[Future[T]]", begun)
        try:
            done, rest = wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future in done and (error := future.exception()) is not None:
                    raise error
            assert not rest
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """Begin no more tasks, and do not wait for those that run."""
        with self._lock:
            self._closed = True
            self._places.close()
            executor, self._executor = self._executor, None
        if executor is not None and acquire(self._handing_over, _PATIENCE):  # otherwise it ends when it is collected
            try:
                executor.shutdown(wait=False, cancel_futures=True)
            finally:
                self._handing_over.release()


async def _nothing_to_close(places: asyncio.Semaphore) -> None:
    pass


def _done_here(tasks: Sequence[Callable[[], T]]) -> list[Future[T]]:
    """Futures of tasks that this thread has done, one after the other, up to the first that fails."""
    futures: list[Future[T]] = [Future() for _ in tasks]
    for future, task in zip(futures, tasks, strict=True):
        try:
            future.set_result(task())
        except Exception as error:
            future.set_exception(error)
            break
    return futures
