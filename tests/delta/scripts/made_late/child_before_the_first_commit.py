import os

from talking import path, reap

import coshelf

shelf = coshelf.open(path, flush_interval=1000)
assert "child" not in shelf
pid = os.fork()
if pid == 0:
    shelf["child"] = 1
    os._exit(0)
assert reap(pid) == 0
assert shelf["child"] == 1
shelf["parent"] = 2
shelf.close()
