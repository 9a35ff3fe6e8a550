from talking import hear, path, say

import coshelf
from coshelf.errors import ShelfGone

shelf = coshelf.open(path)
shelf["old"] = 1
snapshot = shelf.snapshot()
say("open")
hear()
gone = 0
for _ in range(2):
    try:
        with shelf.transaction() as t:
            t["older"] = 3
            assert dict(snapshot) == {"old": 1}
        shelf.sync()
    except ShelfGone:
        gone += 1
assert gone == 2
assert shelf["old"] == 1
snapshot.close()
try:
    shelf.close()
except ShelfGone:
    pass
