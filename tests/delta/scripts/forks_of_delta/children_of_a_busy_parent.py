import os
import sys

from talking import path, reap

import coshelf

shelf = coshelf.open(path, durability=sys.argv[2], flush_interval=0.001)
shelf["count"] = 0
pids = []
for turn in range(12):
    shelf.modify("count", lambda number: number + 1)
    pid = os.fork()
    if pid == 0:
        for _ in range(15):
            shelf.modify("count", lambda number: number + 1)
        with shelf.transaction() as t:
            t["child", turn] = t["count"]
        if turn % 2:
            shelf.close()
        os._exit(0)
    pids.append(pid)
    for _ in range(10):
        shelf.modify("count", lambda number: number + 1)
for pid in pids:
    assert reap(pid) == 0
assert shelf["count"] == 12 * (1 + 15 + 10)
assert len(shelf.keys(prefix=("child",))) == 12
shelf.close()
