"""What workers remember between restarts: the tasks that were revoked, and their clock."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final

from celery import bootsteps
from celery.utils.log import get_logger
from celery.worker.components import StateDB
from celery.worker.state import REVOKE_EXPIRES

from coshelf.contrib.parts import Part
from coshelf.errors import CoshelfError

__all__ = ["WorkerState"]

_REVOKED: Final = "revoked"
_CLOCK: Final = "clock"
_logger = get_logger(__name__)


class WorkerState(bootsteps.StartStopStep):
    """Keeps what ``celery worker --statedb`` keeps in a shelf that all workers share.

    Add it with ``app.steps["worker"].add(WorkerState)``. ``--statedb`` (or ``worker_state_db``) is then a path or a URL
    of a shelf. What is revoked is stored within ``every`` seconds, and not only when the worker ends, so a killed
    worker forgets nothing that is older. It is kept as long as Celery keeps it, three hours unless
    ``CELERY_WORKER_REVOKE_EXPIRES`` says otherwise.

    A subclass may set ``part``, the part of the shelf that is used, ``options``, further arguments of
    :func:`coshelf.open`, and ``every``.
    """

    requires = (StateDB,)

    part: ClassVar[str] = "celery/state"
    options: ClassVar[Mapping[str, Any]] = {}
    every: ClassVar[float] = 1.0

    def __init__(self, worker: Any, **arguments: Any) -> None:
        self.enabled = bool(worker.statedb)
        worker.blueprint[StateDB.name].enabled = False  # it would open the file with the module shelve
        self._stop = threading.Event()
        self._known: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="coshelf worker state", daemon=True)
        super().__init__(worker, **arguments)

    def create(self, worker: Any) -> WorkerState:
        """Open the shelf, and take what is revoked there. A wrong path stops the worker."""
        self._kept = Part(worker.statedb, self.part, **self.options)
        self._state, self._clock = worker.state, worker.app.clock
        shelf = self._kept.shelf
        revoked = [key[1] for key in shelf.keys(prefix=(_REVOKED,))]
        self._known.update(revoked)
        self._state.merge_revoked(revoked)
        self._clock.adjust(shelf.get(_CLOCK, 0))
        return self

    def start(self, worker: Any) -> None:
        """Store what is new from now on, in a thread."""
        self._thread.start()

    def stop(self, worker: Any) -> None:
        """Store what is new, and close the shelf."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._kept.close()

    terminate = stop

    def _run(self) -> None:
        is_over = False
        while not is_over:
            is_over = self._stop.wait(self.every)
            try:
                self._store(is_over)
            except CoshelfError as error:
                _logger.warning("The state of the worker is not stored, and is tried again: %s", error)

    def _store(self, is_over: bool) -> None:
        """Store what was revoked since the last time, in one commit."""
        revoked = self._revoked()
        new = revoked - self._known
        if new:
            self._kept.shelf.update({(_REVOKED, task_id): True for task_id in new}, expire=REVOKE_EXPIRES)
        self._known = revoked
        if new or is_over:
            self._kept.shelf.modify(_CLOCK, lambda clock: max(clock, self._clock.value), default=0)

    def _revoked(self) -> set[str]:
        while True:
            with suppress(RuntimeError):  # another thread has revoked a task meanwhile
                return set(self._state.revoked.as_dict())
