import sys

import scripts.waiting.patient  # noqa: F401
from talking import path

import coshelf.mapping.shelf

mine, yours = sys.argv[2:4]
rounds = int(sys.argv[4])
with coshelf.open(path) as shelf:
    for turn in range(rounds):
        if mine == "ping":
            shelf[mine, turn] = turn
        assert shelf.wait((yours, turn)) == turn
        if mine == "pong":
            shelf[mine, turn] = turn
