import sys

from talking import hear, path, say

import coshelf

with coshelf.open(path) as shelf:
    say("ready")
    hear()
    for turn in range(100):
        seen = shelf.modify("count", lambda n: n + 1, default=0)
        assert seen > turn
        with shelf.edit("log", default=[]) as log:
            log.append(int(sys.argv[2]))
