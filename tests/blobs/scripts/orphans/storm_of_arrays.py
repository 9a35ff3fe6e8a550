import random
import sys

from arrays import is_whole, signed
from talking import path, say

import coshelf

chance = random.Random(int(sys.argv[2]))
shelf = coshelf.open(path, flush_interval=0.01)
number = int(sys.argv[2]) * 100_000
while True:
    number += 1
    key = chance.randrange(6)
    kind = chance.randrange(10)
    if kind < 6:
        shelf[key] = signed(number)
    elif kind < 8:
        with shelf.transaction() as t:
            t[key] = signed(number)
            t["pair"] = t["twin"] = signed(number)
    elif kind == 8:
        shelf.pop(key, None)
    else:
        shelf.sync()
    if chance.random() < 0.3:
        with shelf.snapshot() as snapshot:
            assert all(map(is_whole, snapshot.values()))
            assert "pair" not in snapshot or (snapshot["pair"] == snapshot["twin"]).all()
    say(number)
