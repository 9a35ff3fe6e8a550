"""The threads that do work for coshelf in this process. They are not among ``threading.enumerate()``."""

from __future__ import annotations

import gc
import os

from coshelf.system.threads.cooperation import ServiceThread

__all__ = ["service_threads"]


def service_threads(name: str) -> list[ServiceThread]:
    """Those of a name that were started and have not ended. A forked child has none of its parent's."""
    found = [thread for thread in gc.get_objects() if type(thread) is ServiceThread]
    # Another thread may be making one, which has no name yet.
    return [thread for thread in found if vars(thread).get("name") == name and _is_running(thread)]


def _is_running(thread: ServiceThread) -> bool:
    if not vars(thread).get("_is_started") or not thread._ended.locked():
        return False
    number = thread._native_number
    return number is None or os.path.exists(f"/proc/self/task/{number}")
