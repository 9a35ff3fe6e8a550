import os
import sys

from support import beside, sidecars
from talking import path, reap

import coshelf

shelf = coshelf.open(path, writeback=True)
shelf["a"] = []
shelf["a"].append("parents")
with shelf.snapshot() as snapshot:
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            sys.exit(7)
        assert reap(pid) == 7
    assert snapshot["a"] == []
assert beside(path) == ["a.shelf", *sidecars(path)]
shelf.close()
with coshelf.open(path) as shelf:
    assert shelf["a"] == ["parents"]
