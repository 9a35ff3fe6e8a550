import os

from scripts.forks.held import BIG, check, shelf
from talking import reap


def generation(depth):
    children = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            shelf.modify("count", lambda n: n + 1, default=0)
            own = shelf.snapshot()
            before = own.get("count")
            if depth:
                generation(depth - 1)
            shelf.update(dict.fromkeys(range(200), (depth, BIG)))
            assert own["count"] == before
            shelf.modify("count", lambda n: n + 1)
            own.close()
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert reap(pid) == 0


generation(2)
assert shelf["count"] == 2 * (2 + 4 + 8)
check()
