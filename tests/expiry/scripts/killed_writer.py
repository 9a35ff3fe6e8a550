"""Stores, touches and removes entries with times until it is killed. Says so after each round."""

from __future__ import annotations

import itertools
import random
import sys

import coshelf

draw = random.Random(1)
with coshelf.open(sys.argv[1], flush_interval=0.01) as shelf:
    for round_ in itertools.count():
        shelf.set(draw.randrange(50), "value", expire=draw.choice([0.001, 0.05, 3600]))
        shelf.update({draw.randrange(50): "value" for _ in range(5)}, expire=draw.choice([0.001, 3600]))
        shelf.touch(draw.randrange(50), expire=draw.choice([0, 0.001, 3600, None]))
        shelf[draw.randrange(50)] = "permanent"
        shelf.modify(draw.randrange(50), lambda value: f"{value[:10]}!", default="")
        if not round_ % 10:
            shelf.expire()
        print(round_, flush=True)
