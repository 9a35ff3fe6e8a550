from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, timeout=30)
say("open")
hear()
for turn in range(150):
    shelf.modify("both", lambda number: number + 1)
    shelf["second"] = turn
    with shelf.transaction() as t:
        t["filler"] = "z" * 10000 * (turn % 3)
say("counted")
hear()
assert shelf["first"] == 149 and shelf["both"] == 300
shelf.close()
