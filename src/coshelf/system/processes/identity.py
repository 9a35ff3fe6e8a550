"""Which process one is, in a form that other processes can compare, and whether such a process still runs."""

from __future__ import annotations

import os
from typing import NamedTuple

__all__ = ["Process", "this_process"]

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_NAMESPACE = "/proc/self/ns/pid"
_ENDED = ("Z", "X")


class Process(NamedTuple):
    """A process of this machine or of another one.

    Attributes:
        boot: the id of the machine's boot; "" if it is not known.
        namespace: the number of the pid namespace; 0 if it is not known.
        pid: its pid in that namespace.
        start: when it began, in ticks since the boot; 0 if that is not known. A later process may have the same pid.
    """

    boot: str
    namespace: int
    pid: int
    start: int

    def is_alive(self) -> bool | None:
        """Whether it still runs; None if that cannot be told from here. A stopped process is alive."""
        here = this_process()
        if not (here.start and here.boot and here.namespace and self.start):
            return None
        if (self.boot, self.namespace) != (here.boot, here.namespace):
            return None
        if self == here:
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # a process of another user
        except (OverflowError, ValueError):
            return False
        found = _stat(self.pid)
        return found is None or (found[0] not in _ENDED and found[1] == self.start)


def this_process() -> Process:
    """The calling process."""
    pid = os.getpid()
    found = _stat(pid)
    return Process(_boot(), _namespace(), pid, 0 if found is None else found[1])


def _stat(pid: int) -> tuple[str, int] | None:
    """The state of a process and when it began; None if this cannot be read."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()  # the name before it may hold anything
        return fields[0].decode("ascii"), int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def _boot() -> str:
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read(64).strip()
    except (OSError, ValueError):
        return ""


def _namespace() -> int:
    try:
        return os.stat(_NAMESPACE).st_ino
    except OSError:
        return 0
