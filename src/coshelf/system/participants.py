"""Who runs now: a thread, and in it a task of asyncio or a greenlet. Two of one thread are in no common transaction."""

from __future__ import annotations

import os
import sys
import threading

__all__ = ["current_task", "current_thread"]


def current_thread() -> tuple[int, int]:
    """The thread; in a forked child the one that forked has the same number, and another process."""
    return os.getpid(), threading.get_ident()  # of a greenlet, where gevent has patched this


def current_task() -> tuple[object, object]:
    """What runs in this thread now, to be compared: the task of asyncio, and the greenlet, each None if there is none.

    Neither library is imported: where nobody has, there are none.
    """
    loop = _found("asyncio", "_get_running_loop")
    task = None if loop is None else _found("asyncio", "current_task")
    return task, _found("greenlet", "getcurrent")


def _found(module: str, function: str) -> object:
    """What a function of a module returns; None if nobody has imported that, or another thread is just doing so."""
    call = getattr(sys.modules.get(module), function, None)
    return None if call is None else call()
