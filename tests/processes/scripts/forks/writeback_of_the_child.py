import os

from talking import path, reap

import coshelf

shelf = coshelf.open(path, writeback=True)
shelf["parents"] = []
shelf["childs"] = []
shelf["parents"].append(1)
pid = os.fork()
if pid == 0:
    assert shelf["parents"] == []  # what the parent changed is the parent's to write
    shelf["childs"].append(2)
    shelf.close()
    os._exit(0)
assert reap(pid) == 0
assert shelf["parents"] == [1]
shelf.close()
