import os

from talking import hear, path, say

import coshelf

say("ready")
hear()
with coshelf.open(path) as shelf:
    for n in range(60):
        shelf.modify("count", lambda n: n + 1, default=0)
        with shelf.edit("by/" + str(os.getpid()), default=[]) as done:
            done.append(n)
        with shelf.transaction() as t:
            t["sum"] = t.get("sum", 0) + n
