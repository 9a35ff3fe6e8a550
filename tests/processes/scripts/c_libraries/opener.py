"""Opens the shelf, or says why not. It adds one to "count" and leaves that in the delta until it is told to go on."""

import os
import sys

from talking import hear, path, say

import coshelf
from coshelf.errors import StorageError
from coshelf.system.memory.c_library import GLIBC, c_library


def another_answer(name):
    """What the other C library answers to the question which one it is."""
    if has_glibc:
        raise OSError(22, "Invalid argument")
    return "glibc 2.36"


if sys.argv[2] == "stand-in":
    has_glibc = c_library() == GLIBC
    c_library.cache_clear()
    os.confstr = another_answer
try:
    shelf = coshelf.open(path, timeout=float(sys.argv[3]), flush_interval=1000)
except StorageError as error:
    say("refused", *str(error).split())
else:
    shelf["count"] = shelf.get("count", 0) + 1
    say("open", shelf["count"])
    hear()
    shelf["count"] += 1
    say("count", shelf["count"])
    hear()
