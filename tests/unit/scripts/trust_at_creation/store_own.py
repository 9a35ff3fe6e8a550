"""Open a shelf, and store and read an object that is not plain data. With a second path, wait until a file is there."""

from __future__ import annotations

import os
import sys
import time

import coshelf


class Mine:
    """Not plain data."""


target, *begin = sys.argv[1:]
if begin:
    print("ready", flush=True)
    while not os.path.exists(begin[0]):
        time.sleep(0.001)
with coshelf.open(target) as shelf:
    try:
        key = f"of-{os.getpid()}"
        shelf[key] = Mine()
        assert isinstance(shelf[key], Mine)
    except coshelf.CoshelfError as error:
        sys.exit(f"{type(error).__name__}: {error}")
print("trusted")
