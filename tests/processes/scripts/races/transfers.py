import random
import sys

from talking import hear, path, say

import coshelf

name = int(sys.argv[2])
chance = random.Random(name)
with coshelf.open(path) as shelf:
    say("ready")
    hear()
    for turn in range(80):
        give, take = chance.sample(range(10), 2)
        with shelf.transaction() as t:
            t["account", give] -= turn
            t["account", take] += turn
            t["moved", name] = t.get(("moved", name), 0) + turn
            t["total"] = t.get("total", 0) + turn
            assert sum(t["account", number] for number in range(10)) == 0
            if turn % 8 == 7:
                held = shelf["account", give]  # the shelf is the view of its own transaction
                t["account", give] = 10**9
                assert shelf["account", give] == 10**9
                t["account", give] = held
