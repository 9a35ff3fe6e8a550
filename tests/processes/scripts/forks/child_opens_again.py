import os

from talking import path, reap

import coshelf

shelf = coshelf.open(path)
shelf["a"] = 1
pid = os.fork()
if pid == 0:
    with coshelf.open(path) as mine:  # before the inherited one was used
        mine["b"] = 2
    assert dict(shelf) == {"a": 1, "b": 2}
    with coshelf.open(path) as mine:
        mine["c"] = 3
    shelf.close()
    os._exit(0)
assert reap(pid) == 0
assert dict(shelf) == {"a": 1, "b": 2, "c": 3}
shelf.close()
