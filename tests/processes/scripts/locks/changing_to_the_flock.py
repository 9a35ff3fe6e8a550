"""Again and again a process without the module comes to three that have it. What they count must stay exact."""

import os
import random
import sys
import time

import bare_lock
from talking import path, reap, say

from coshelf import native

PROCESSES, TURNS = 4, 6
seed, rounds = int(sys.argv[2]), int(sys.argv[3])
parent = os.getpid()
page, memory = bare_lock.new_page(), bare_lock.numbers()
words = page.cast("I")
count, begun = 0, 1  # places in the memory; from 2 on: the rounds that each process has done


def work(number):
    chance = random.Random(seed + number)
    native.in_use &= number > 0
    native.shares_memory &= native.in_use
    lock = bare_lock.opened(page, path)
    for turn in range(1, rounds + 1):
        while memory[begun] < turn:
            assert os.getppid() == parent  # the parent has failed
            time.sleep(0)
        for _ in range(chance.randrange(50 if number else 400)):
            pass
        for _ in range(TURNS):
            bare_lock.hold(lock)
            found = memory[count]
            for _ in range(chance.randrange(30)):
                pass
            memory[count] = found + 1
            lock.release()
        memory[2 + number] = turn
    os._exit(0)


children = []
for number in range(PROCESSES):
    children.append(os.fork())
    if not children[-1]:
        work(number)
for turn in range(1, rounds + 1):
    memory[begun] = turn
    while any(memory[2 + number] < turn for number in range(PROCESSES)):
        time.sleep(0)
    assert memory[count] == turn * PROCESSES * TURNS, (turn, memory[count])
    assert words[bare_lock.USES_FLOCK] == 1
    assert not words[bare_lock.WORD] & ~bare_lock.SLEEPERS
    words[bare_lock.USES_FLOCK] = 0  # as the next opener that is alone does
for child in children:
    assert reap(child) == 0
say("done")
