"""Celery on a shelf: results, the schedule of beat with a leader, and the state of workers.

docs/integrations/celery.md shows how to use it. Each name is imported when it is asked for, so that a program that
stores results does not import beat and the worker.

>>> import coshelf.contrib.celery
>>> coshelf.contrib.celery.CoshelfBackend.__module__
'coshelf.contrib.celery.results'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coshelf.contrib.celery.beat import Scheduler as Scheduler
    from coshelf.contrib.celery.results import CoshelfBackend as CoshelfBackend
    from coshelf.contrib.celery.worker_state import WorkerState as WorkerState

_PLACES = {"CoshelfBackend": "results", "Scheduler": "beat", "WorkerState": "worker_state"}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
