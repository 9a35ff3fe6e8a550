"""The current thread, and the asyncio task or greenlet in it. Two tasks never share a transaction."""

from __future__ import annotations

import os
import sys
import threading

__all__ = ["current_task", "current_thread"]


_NO_TASK = (None, None)


def current_thread() -> tuple[int, int]:
    """Process and thread. In a forked child the thread has the same number as in its parent."""
    return os.getpid(), threading.get_ident()  # the number of a greenlet, if gevent has patched this


def current_task() -> tuple[object, object]:
    """The asyncio task and the greenlet that run in this thread, for comparison. Each is None if there is none.

    Neither library is imported. If the program has not imported one, it has no tasks of it.
    """
    modules = sys.modules
    if modules.get("asyncio") is None and modules.get("greenlet") is None:
        return _NO_TASK
    loop = _found("asyncio", "_get_running_loop")
    task = None if loop is None else _found("asyncio", "current_task")
    return task, _found("greenlet", "getcurrent")


def _found(module: str, function: str) -> object:
    """The result of a function of a module. None if the module is not imported, or its import is in progress."""
    call = getattr(sys.modules.get(module), function, None)
    return None if call is None else call()
