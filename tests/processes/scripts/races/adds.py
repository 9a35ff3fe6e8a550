import sys

from talking import hear, path, say

import coshelf

with coshelf.open(path) as shelf:
    add = {
        "incr": lambda: shelf.incr("count"),
        "modify": lambda: shelf.modify("count", lambda count: count + 1, default=0),
        "incr a float": lambda: shelf.incr("float", 0.5),
    }[sys.argv[2]]
    say("ready")
    hear()
    for turn in range(500):
        assert add() > 0
        if turn % 100 == 0:
            shelf.sync()
