"""Takes a lock again and again, and writes into a journal when each call began and returned."""

import os
import random
import sys
import time

from talking import path, say

import coshelf

journal = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
name, rounds = sys.argv[3], int(sys.argv[4])
chance = random.Random(name)


def note(*words: object) -> None:
    os.write(journal, (" ".join(map(str, (name, time.monotonic_ns(), *words))) + "\n").encode())


with coshelf.open(path) as shelf:
    lock = shelf.lock("door")
    say("ready")
    for _ in range(rounds):
        note("asks")
        turn = lock.acquire()
        assert turn
        note("has", turn.token)
        time.sleep(chance.choice((0, 0, 0.001, 0.003)))
        note("gives")
        turn.release()
        note("gave")
