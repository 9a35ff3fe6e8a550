"""Which of the schedulers that share a shelf runs the jobs, and how it learns of news."""

from __future__ import annotations

import threading
from collections.abc import Callable
from logging import Logger
from typing import Any, Final

from coshelf.coordination.turn import Turn
from coshelf.errors import CoshelfError, ShelfClosed
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.watch import Watch

__all__ = ["Leading"]

_LOOK: Final = 1.0  # seconds between two looks whether it is to stop
_TRY_AGAIN: Final = 5.0  # seconds


class Leading:
    """A thread that waits for the lead. When it has the lead, it tells of each change of a job.

    Args:
        shelf: the part with the jobs.
        prefix: what the keys of the jobs begin with.
        on_news: called in the thread: this scheduler leads now, or a job has changed.
        logger: is told of errors, which the thread survives.
    """

    def __init__(
        self, shelf: Shelf[Any, Any], prefix: tuple[Any, ...], on_news: Callable[[], object], logger: Logger
    ) -> None:
        self._shelf = shelf
        self._prefix = prefix
        self._on_news = on_news
        self._logger = logger
        self._turn: Turn | None = None
        self._watch: Watch[Any, Any] | None = None
        self._has_tried = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="coshelf leader of schedulers", daemon=True)
        self._thread.start()

    def leads(self) -> bool:
        """Whether this scheduler runs the jobs now. The first call waits until that is known."""
        self._has_tried.wait()
        turn = self._turn
        return turn is not None and turn.held

    def stop(self) -> None:
        """Give the lead back."""
        self._stop.set()
        watch = self._watch
        if watch is not None:
            watch.close()  # which ends its wait
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._wait_and_lead()
            except ShelfClosed:
                break
            except CoshelfError as error:
                self._logger.warning("The shelf with the jobs does not answer; trying again: %s", error)
                self._has_tried.set()
                self._stop.wait(_TRY_AGAIN)
        self._has_tried.set()

    def _wait_and_lead(self) -> None:
        lock = self._shelf.lock("leader")
        turn = lock.acquire(blocking=False)
        if not turn:
            self._has_tried.set()
            turn = lock.acquire(timeout=_LOOK)
        if not turn:
            return
        try:
            self._turn = turn
            self._has_tried.set()
            self._tell(turn)
        finally:
            self._turn = None
            if turn.held:
                turn.release()

    def _tell(self, turn: Turn) -> None:
        with self._shelf.watch(prefix=self._prefix, latest=True) as watch:
            self._watch = watch
            self._on_news()
            while turn.held and not self._stop.is_set():
                if watch.next(_LOOK) is not None:
                    self._on_news()
