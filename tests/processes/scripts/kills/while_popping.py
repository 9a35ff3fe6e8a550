import os
import random
import signal
import sys
import time
from contextlib import suppress

from bare_lock import numbers
from talking import path

import coshelf

ITEMS, CHILDREN = 400, 4
chance = random.Random(int(sys.argv[2]))
taken = numbers()  # of each item: how often a call has returned it


def take(place):
    shelf = coshelf.open(path, timeout=20)
    keys = list(range(ITEMS))
    random.Random(place).shuffle(keys)
    with suppress(KeyError, IndexError):  # nothing is left
        while True:
            if place % 2:
                key, value = shelf.popitem(last=place == 1)
            else:
                key = value = shelf.pop(keys.pop(), None)
            if key is not None:
                assert key == value
                taken[key] += 1
    signal.pause()


for _ in range(12):
    for item in range(ITEMS):
        taken[item] = 0
    with coshelf.open(path) as shelf:
        shelf.clear()
        shelf.update((item, item) for item in range(ITEMS))
    children = []
    for place in range(CHILDREN):
        child = os.fork()
        if child == 0:
            take(place)
        children.append(child)
    enough = chance.randrange(1, ITEMS // 2)
    while sum(taken[:ITEMS]) < enough:
        time.sleep(0.0005)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with coshelf.open(path, timeout=30) as shelf:
        left = set(shelf)
    missing = 0
    for item in range(ITEMS):
        found = taken[item] + (item in left)
        assert found <= 1, (item, taken[item], item in left)
        missing += not found
    # Of each child at most the call that was under way has taken an item that nobody got.
    assert missing <= CHILDREN, missing
