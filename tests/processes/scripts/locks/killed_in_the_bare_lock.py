"""Children that hold the lock for moments are killed at random. No update is lost, and each death with it is told."""

import os
import random
import signal
import sys
import time

import bare_lock
from talking import path, reap, say

from coshelf import native

CHILDREN = 4
seed, kills, kinds = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].split(",")
chance = random.Random(seed)
parent = os.getpid()
page, memory = bare_lock.new_page(), bare_lock.numbers()
count, holder, lost = 0, 1, 2  # places in the memory; from 3 on: what each child has acknowledged


def work(place, kind):
    native.in_use &= kind == "with"
    native.shares_memory &= native.in_use
    lock = bare_lock.opened(page, path)
    while os.getppid() == parent:
        after_death = bare_lock.hold(lock)
        memory[lost] += bool(memory[holder]) and not after_death
        memory[holder] = os.getpid()
        memory[count] += 1
        memory[holder] = 0
        lock.release()
        memory[place] += 1
    os._exit(1)


def start(place):
    kind = chance.choice(kinds)
    child = os.fork()
    if not child:
        work(place, kind)
    return child


children = {place: start(place) for place in range(3, 3 + CHILDREN)}
for _ in range(kills):
    place = chance.choice(list(children))
    wanted = memory[count] + chance.randrange(20)
    while memory[count] < wanted:
        time.sleep(0)
    for _ in range(chance.randrange(2_000)):
        pass
    os.kill(children[place], signal.SIGKILL)
    assert reap(children[place]) == -signal.SIGKILL
    children[place] = start(place)
for child in children.values():
    os.kill(child, signal.SIGKILL)
    reap(child)
acknowledged = sum(memory[place] for place in children)
assert acknowledged <= memory[count] <= acknowledged + kills + CHILDREN, (acknowledged, memory[count])
assert memory[lost] == 0, memory[lost]
say("done")
