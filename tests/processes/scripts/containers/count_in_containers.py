from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, timeout=60)
say("ready")
hear()
for _turn in range(300):
    shelf.modify("count", lambda number: number + 1, default=0)
say("counted")
hear()
assert shelf["count"] == 600
