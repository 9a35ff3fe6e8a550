import os

from talking import path, reap

import coshelf
from coshelf.errors import ShelfLocked

shelf = coshelf.open(path, timeout=0.3)
parent = os.getpid()
with shelf.transaction() as t:
    t["a"] = 1
    pid = os.fork()
    if pid == 0:
        assert shelf.pop("c", 0) == 0  # nothing is there, so nothing is written
        transaction = shelf.transaction()
        for write in (lambda: shelf.update(b=1), shelf.clear, transaction.__enter__):
            try:
                write()
            except ShelfLocked as error:
                assert error.pid == parent
            else:
                os._exit(1)
        os._exit(0)
    assert reap(pid) == 0
pid = os.fork()
if pid == 0:
    shelf["c"] = shelf.pop("a")
    os._exit(0)
assert reap(pid) == 0
assert dict(shelf) == {"c": 1}
shelf.close()
