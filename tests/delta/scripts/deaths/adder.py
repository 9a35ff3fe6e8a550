"""Adds one to "total" and to a part of its own, in turn by a transaction, by a large batch and by modify."""

import sys

from insides import arm
from talking import path, say

import coshelf

shelf = coshelf.open(path, flush_interval=1000)
arm(sys.argv[2])
for turn in range(30):  # where others flush, too, it may not come to its own at once
    with shelf.transaction() as t:
        t["total"] += 1
        t["theirs"] += 1
    say("added")
    with shelf.transaction() as t:
        t["total"] += 1
        t["theirs"] += 1
        t.update({("pad", n): turn for n in range(1001)})
    say("added")
    with shelf.transaction() as t:
        t["total"] += 1
        t["theirs"] += 1
    say("added")
    shelf.sync()
