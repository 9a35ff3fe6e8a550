"""Imported by the programs of workers (``support.Worker``). A worker that is left running ends by itself."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from types import FrameType

import coshelf

faulthandler.register(signal.SIGALRM, chain=True)  # so that it prints a traceback first
signal.alarm(500)
faulthandler.register(signal.SIGUSR1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts it in the background ignores SIGINT

path = sys.argv[1]
"""The first argument: usually the path of the shelf."""
_LIBRARY = os.path.dirname(coshelf.__file__) + os.sep


def say(*words: object) -> None:
    """Print a line, which the test reads."""
    print(*words, flush=True)


def hear() -> str:
    """The next line from the test. An empty text if there are no more."""
    return sys.stdin.readline().strip()


def reap(pid: int) -> int:
    """Wait for the end of a child, and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def in_library(frame: FrameType) -> bool:
    """Whether the frame runs coshelf's own code."""
    return frame.f_code.co_filename.startswith(_LIBRARY)
