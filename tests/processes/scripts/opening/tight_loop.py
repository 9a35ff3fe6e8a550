import sys

from talking import hear, path, say

import coshelf.engines.lmdb.engine

turns, name = map(int, sys.argv[2:])
say("ready")
hear()
for turn in range(turns):
    with coshelf.open(path) as shelf:
        if turn % 5 == 0:
            shelf[name] = turn
        assert shelf[name] == turn - turn % 5
