"""The pid namespace of a process (Linux): a number means one process in one namespace, and another one in the next."""

from __future__ import annotations

import os

__all__ = ["pid_namespace"]

_NAMESPACE = "/proc/self/ns/pid"


def pid_namespace() -> int:
    """The number of this process's pid namespace; 0 if it is not known, or if the system has no such namespaces."""
    try:
        return os.stat(_NAMESPACE).st_ino
    except OSError:
        return 0
