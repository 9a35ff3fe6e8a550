"""Stores entries in a bounded shelf and reads some, for a number of rounds, or until it is killed."""

import os
import random
import sys

import coshelf

path, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
with coshelf.open(path, flush_interval=0.01) as shelf:
    if "kill" in sys.argv[4:]:
        from coshelf.engines.lmdb import evicting

        evict, left = evicting.Eviction._evict, int(sys.argv[5])

        def killing(self, row):
            global left
            left -= 1
            if not left:
                os.kill(os.getpid(), 9)
            evict(self, row)

        evicting.Eviction._evict = killing
    chance = random.Random(name)
    for number in range(rounds):
        shelf[f"{name}{number}"] = number
        for _ in range(3):
            key = chance.randrange(number + 1)
            assert shelf.get(f"{name}{key}") in (None, key)
        if number % 40 == 0:
            shelf.update({f"{name}b{number + more}": number for more in range(20)})
        if number % 100 == 0:
            shelf.sync()
print("done")
