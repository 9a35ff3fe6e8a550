import os

from scripts.kinds.opened import open_shelf
from talking import reap

shelf = open_shelf(flush_interval=1000)
shelf["count"] = 0
for _turn in range(5):
    pid = os.fork()
    if pid == 0:
        shelf["count"] += 1
        os._exit(0)
    assert reap(pid) == 0
    shelf["count"] += 1
assert shelf["count"] == 10
shelf.close()
