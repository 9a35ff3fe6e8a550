"""What this process is, in words for people: the machine, the program, the thread or task."""

from __future__ import annotations

import os
import sys
import threading
from functools import cache

from coshelf.system.threads.participants import current_task

__all__ = ["host", "program", "task"]

_COMMAND_LINE = "/proc/self/cmdline"
_LONGEST = 80  # characters


@cache
def host() -> str:
    """The name of this machine."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import platform

    return platform.node()


@cache
def program() -> str:
    """The command line of this process, shortened."""
    try:
        with open(_COMMAND_LINE, "rb") as file:
            words = file.read(4 * _LONGEST).decode("utf-8", "replace").split("\0")
    except OSError:
        words = sys.argv
    if words:
        words[0] = os.path.basename(words[0])
    line = " ".join(" ".join(words).split())
    text = "".join(character if character.isprintable() else "?" for character in line)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def task() -> str:
    """The name of the asyncio task that runs in this thread, or else of the thread."""
    found = current_task()[0]
    if found is not None:
        name = getattr(found, "get_name", None)
        if name is not None:
            return str(name())
    return threading.current_thread().name
