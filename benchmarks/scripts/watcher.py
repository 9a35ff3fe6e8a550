"""Watches a shelf for a number of changes. Prints how many nanoseconds after the time in each value it was told.

Usage: watcher.py TARGET COUNT
"""

from __future__ import annotations

import json
import pickle
import sys
import time

from coshelf.contract import OpenOptions
from coshelf.engines import open_engine
from coshelf.keys import FIRST, LAST

engine = open_engine(sys.argv[1], OpenOptions())
took: list[int] = []
with engine.changes(((FIRST, LAST),), engine.position()) as reader:
    print("ready", flush=True)
    while len(took) < int(sys.argv[2]):
        some = reader.read(None)
        now = time.monotonic_ns()
        took += [now - pickle.loads(change.record) for change in some if change.record is not None]
print(json.dumps(took), flush=True)
engine.close()
