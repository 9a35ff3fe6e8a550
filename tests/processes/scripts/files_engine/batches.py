import os
import random

from talking import hear, path, say

import coshelf

chance = random.Random(os.getpid())
with coshelf.open(path) as shelf:
    say("ready")
    hear()
    while "stop" not in shelf:
        one, other = chance.sample(range(8), 2)
        with shelf.transaction() as t:
            t[f"account/{one}"] -= 1
            t[f"account/{other}"] += 1
