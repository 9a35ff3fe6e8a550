import sys

from talking import hear, path, say

import coshelf
from coshelf.engines.lmdb.environment import Environment

barrier = Environment.barrier
if sys.argv[2:] == ["no barrier"]:
    Environment.barrier = lambda self, *, after_death: barrier(self, after_death=False)
with coshelf.open(path, timeout=30) as shelf:
    shelf.update(total=0, part=0)
    shelf.sync()
    say("ready")
    hear()
    say(shelf["total"], "large" in shelf)
    with shelf.transaction() as transaction:
        say(transaction["total"])
        transaction["total"] += 1
    shelf.sync()
    say(shelf["total"], shelf["part"], "large" in shelf)
