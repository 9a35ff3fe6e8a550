"""Writes until the delta has been replaced so many times; what was written is counted in "turn"."""

from insides import environment_of, flush_all, use_small_maps
from talking import path

import coshelf

use_small_maps(3 << 20)
shelf = coshelf.open(path, flush_interval=1000)
shelf["turn"] = 0
flush_all(shelf)


def generation():
    return environment_of(shelf).page.delta.identity().generation


def fill(until_generation, most=20_000):
    turn = shelf["turn"]
    while generation() < until_generation:
        turn += 1
        with shelf.transaction() as t:
            t["turn"] = turn
            t["half", turn % 50] = "x" * 3000 + str(turn)
        if turn % 10 == 0:
            shelf.sync()
        assert turn < most, "it is never used up"
    return turn


def check(turn):
    assert shelf["turn"] == turn
    for place in range(50):
        expected = turn - (turn - place) % 50
        if expected > 0:
            assert shelf["half", place] == "x" * 3000 + str(expected), place
    assert len(shelf) == 1 + min(turn, 50)
