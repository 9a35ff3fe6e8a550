import os
import sys

from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, flush_interval=0.002)
say("ready")
hear()
for turn in range(80):
    with shelf.transaction() as t:
        t["count"] = t.get("count", 0) + 1
        assert len(t) == len(set(t)) and t["count"] > turn
        t["at", t["count"]] = os.getpid()
    shelf["plain", int(sys.argv[2])] = turn
