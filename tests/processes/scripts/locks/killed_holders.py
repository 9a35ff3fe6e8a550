"""Children that change an entry under the lock are killed at random. No change that was acknowledged is lost."""

import os
import random
import signal
import sys
import time

import bare_lock
from talking import path, reap, say

import coshelf
from coshelf import native

CHILDREN = 4
seed, kills, kinds = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].split(",")
chance = random.Random(seed)
parent = os.getpid()
memory = bare_lock.numbers()  # what each child has acknowledged
with coshelf.open(path) as shelf:
    shelf["n"] = 0


def work(place, kind):
    native.in_use &= kind == "with"
    native.shares_memory &= native.in_use
    shelf = coshelf.open(path)
    while os.getppid() == parent:
        shelf.modify("n", lambda value: value + 1)
        memory[place] += 1
    os._exit(1)


def start(place):
    kind = chance.choice(kinds)
    child = os.fork()
    if not child:
        work(place, kind)
    return child


children = [start(place) for place in range(CHILDREN)]
for _ in range(kills):
    place = chance.randrange(CHILDREN)
    wanted = sum(memory) + chance.randrange(8)
    while sum(memory) < wanted:
        time.sleep(0.0002)
    for _ in range(chance.randrange(3_000)):
        pass
    os.kill(children[place], signal.SIGKILL)
    assert reap(children[place]) == -signal.SIGKILL
    children[place] = start(place)
for child in children:
    os.kill(child, signal.SIGKILL)
    reap(child)
with coshelf.open(path, timeout=60) as shelf, shelf.transaction() as transaction:
    # Each death may have come between a change and its acknowledgement.
    assert sum(memory) <= transaction["n"] <= sum(memory) + kills + CHILDREN, (sum(memory), transaction["n"])
say("done")
