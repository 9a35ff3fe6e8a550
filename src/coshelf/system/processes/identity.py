"""Which process one is, in a form that other processes can compare, and whether such a process still runs."""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

from coshelf.system.processes.boot import boot_id
from coshelf.system.processes.lifetimes import has_namespaces, lifetime_of
from coshelf.system.processes.namespaces import pid_namespace

__all__ = ["Process", "this_process"]

_can_ask = hasattr(signal, "SIGKILL")
"""Whether signal 0 asks if a process exists. On Windows the number 0 is Ctrl-C, and interrupts the process."""


class Process(NamedTuple):
    """A process of this machine or of another one.

    Attributes:
        boot: the id of the machine's boot; "" if it is not known.
        namespace: the number of the pid namespace; 0 if it is not known.
        pid: its pid in that namespace.
        start: when it began, as the kernel counts it; 0 if that is not known. A later process may have the same pid.
    """

    boot: str
    namespace: int
    pid: int
    start: int

    def is_alive(self) -> bool | None:
        """Whether it still runs; None if that cannot be told from here. A stopped process is alive."""
        here = this_process()
        if not (here.start and here.boot and self.start and (here.namespace or not has_namespaces())):
            return None
        if (self.boot, self.namespace) != (here.boot, here.namespace):
            return None
        if self == here:
            return True
        if not _can_ask:
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # a process of another user
        except (OverflowError, ValueError):
            return False
        found = lifetime_of(self.pid)
        return found is None or (found.runs and found.start == self.start)


def this_process() -> Process:
    """The calling process."""
    pid = os.getpid()
    found = lifetime_of(pid)
    return Process(_boot(), pid_namespace(), pid, 0 if found is None else found.start)


def _boot() -> str:
    try:
        found = boot_id()
    except OSError:
        return ""
    if found is None:
        return ""
    digits = found.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
