"""One thread that computes what takes long, while pages are served: in short steps, the latest wish first."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator

__all__ = ["Background"]

# Seconds. A thread that always works makes each page wait for the interpreter several times, for 5 ms each.
_WORK, _PAUSE = 0.004, 0.001
_MOST = 8
"""Jobs that have begun and not ended. Each holds an instant of the shelf, and a file has few places for readers."""


class Background:
    """Runs jobs in a thread. A job is an iterator. Between two of its steps another job can take its turn.

    The thread begins with the first job. It is a daemon, and :meth:`close` waits until it has ended. If a job raises,
    the thread ends as any thread does, and the next job begins another one.
    """

    def __init__(self) -> None:
        self._waiting: list[Iterator[None]] = []
        self._begun: deque[Iterator[None]] = deque()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def add(self, job: Iterator[None]) -> None:
        """Begin a job before all others that wait. After :meth:`close` nothing is done."""
        with self._change:
            if self._is_closed:
                return
            self._waiting.append(job)
            self._change.notify()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="coshelf-viewer-background", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End all jobs where they are."""
        with self._change:
            self._is_closed = True
            self._change.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            pause = time.monotonic() + _WORK
            for _ in job:
                if self._gives_way():
                    self._begun.append(job)
                    break
                if time.monotonic() > pause:
                    time.sleep(_PAUSE)
                    pause = time.monotonic() + _WORK

    def _gives_way(self) -> bool:
        """Whether another job has its turn now."""
        with self._change:
            return self._is_closed or bool(self._begun or self._waiting)

    def _next(self) -> Iterator[None] | None:
        with self._change:
            while not (self._waiting or self._begun or self._is_closed):
                self._change.wait()
            if not self._is_closed:
                can_begin = self._waiting and len(self._begun) < _MOST
                return self._waiting.pop() if can_begin else self._begun.popleft()
        for job in self._begun:
            close = getattr(job, "close", None)
            if close is not None:  # what it holds of the shelf is freed in the thread that took it
                close()
        return None
