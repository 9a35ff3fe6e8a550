import os

from insides import flush_all, is_clean
from talking import path, reap

import coshelf

shelf = coshelf.open(path, flush_interval=1000)
shelf["first"] = 0
flush_all(shelf)
shelf["waiting"] = 1
snapshot = shelf.snapshot()
pid = os.fork()
if pid == 0:
    assert dict(shelf) == {"first": 0, "waiting": 1}
    shelf["child"] = 2
    shelf.sync()
    assert is_clean(shelf)
    shelf["child, waiting"] = 3
    os._exit(0)
assert reap(pid) == 0
assert dict(snapshot) == {"first": 0, "waiting": 1}
assert dict(shelf) == {"first": 0, "waiting": 1, "child": 2, "child, waiting": 3}
snapshot.close()
shelf.close()
