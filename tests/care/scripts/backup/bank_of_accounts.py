import os
import random
import sys

from talking import hear, path, say

import coshelf

chance = random.Random(int(sys.argv[2]))
with coshelf.open(path) as shelf:
    say("ready")
    hear()
    while not os.path.exists(path + ".stop"):
        one, other = chance.sample(range(50), 2)
        with shelf.transaction() as t:
            t[one] -= 7
            t[other] += 7
