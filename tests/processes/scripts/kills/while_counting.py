import os
import random
import signal
import sys
import time

from bare_lock import numbers
from talking import path

import coshelf

chance = random.Random(int(sys.argv[2]))
returned = numbers()


def count(place):
    shelf = coshelf.open(path, timeout=60)
    while True:
        if place % 2:
            shelf.incr("count")
        else:
            shelf.modify("count", lambda count: count + 1, default=0)
        returned[place] += 1


known, total = 0, 0
for _ in range(25):
    children = []
    for place in range(4):
        child = os.fork()
        if child == 0:
            count(place)
        children.append(child)
    before, enough = sum(returned[:4]), chance.randrange(1, 2_000)
    while sum(returned[:4]) < before + enough:
        time.sleep(0.0005)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with coshelf.open(path, timeout=30) as shelf:
        found = shelf["count"]
    # What returned is counted; of each child at most the one that was under way is counted as well.
    assert total + sum(returned[:4]) - known <= found <= total + sum(returned[:4]) - known + 4, found
    known, total = sum(returned[:4]), found
assert total > 1_000
