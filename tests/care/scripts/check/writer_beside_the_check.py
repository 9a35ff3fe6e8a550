import os
import random
import sys

from talking import hear, path, say

import coshelf

chance = random.Random(int(sys.argv[2]))
with coshelf.open(path, flush_interval=0.01) as shelf:
    say("ready")
    hear()
    while not os.path.exists(path + ".stop"):
        key = chance.randrange(300)
        if chance.random() < 0.3:
            shelf.pop(key, None)
        else:
            key = key if chance.random() < 0.9 else "k" * 600 + str(key)
            shelf[key] = chance.randbytes(chance.choice((10, 900, 9_000)))
