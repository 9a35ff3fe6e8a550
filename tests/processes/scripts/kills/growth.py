import os
import sys
import time

from scripts.kills.mother import fork, kill, log
from talking import path, say

import coshelf

keys = range(50)


def overwrite(shelf, times):
    for turn in range(times):
        shelf.update(dict.fromkeys(keys, (turn, "x" * 500)))


def look():
    # Registered and then killed, with a snapshot, an iterator, or in the middle of a read.
    shelf = coshelf.open(path)
    _held = shelf.snapshot()
    items = iter(shelf.items())
    next(items)
    os.write(log, b"x")
    while True:
        shelf[1]


with coshelf.open(path) as shelf:
    overwrite(shelf, 1)
    for _round in range(6):
        if sys.argv[3] == "kill":
            size = os.fstat(log).st_size
            readers = [fork(look) for _ in range(2)]
            while os.fstat(log).st_size < size + 2:
                time.sleep(0.001)
            overwrite(shelf, 3)
            for reader in readers:
                kill(reader)
        else:
            overwrite(shelf, 3)
        overwrite(shelf, 140)
    say(os.stat(path).st_size)
