"""What the programs of workers import (``support.Worker``); a worker that everybody forgot ends by itself."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from types import FrameType

import coshelf

faulthandler.register(signal.SIGALRM, chain=True)  # so that it says where it was
signal.alarm(110)
faulthandler.register(signal.SIGUSR1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell started in the background

path = sys.argv[1]
"""Of the shelf, or what else the first argument is."""
_LIBRARY = os.path.dirname(coshelf.__file__) + os.sep


def say(*words: object) -> None:
    """Tell the test a line."""
    print(*words, flush=True)


def hear() -> str:
    """The next line that the test tells; nothing if it told all."""
    return sys.stdin.readline().strip()


def reap(pid: int) -> int:
    """Wait for the end of a child, and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def in_library(frame: FrameType) -> bool:
    """Whether what runs there is coshelf's own code."""
    return frame.f_code.co_filename.startswith(_LIBRARY)
