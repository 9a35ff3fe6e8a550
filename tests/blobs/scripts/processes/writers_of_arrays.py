import sys

from arrays import is_whole, signed
from talking import hear, path, say

import coshelf

me = int(sys.argv[2])
shelf = coshelf.open(path, flush_interval=0.01, **({"durability": "commit"} if me == 0 else {}))
say("ready")
hear()
for turn in range(8):
    shelf[me, turn % 4] = signed(turn)
    shelf["common"] = signed(turn)
    with shelf.transaction() as t:
        t["count"] = t.get("count", 0) + 1
        t["last"] = [signed(t["count"]), t["count"]]
    assert all(is_whole(shelf[me, n]) for n in range(min(turn + 1, 4))) and is_whole(shelf["common"])
    array, number = shelf["last"]
    assert is_whole(array) and array[0] == number % 256
shelf.close()
