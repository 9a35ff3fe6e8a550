import os

from talking import path, reap

import coshelf
from coshelf.errors import WaitTimeout

with coshelf.open(path) as shelf:
    try:
        shelf.wait("a", timeout=0)
    except WaitTimeout:
        pass
    pid = os.fork()
    if not pid:
        assert shelf.wait("a", timeout=30) == 1
        shelf["b"] = 2
        os._exit(0)
    shelf["a"] = 1
    assert shelf.wait("b", timeout=30) == 2
    assert reap(pid) == 0
