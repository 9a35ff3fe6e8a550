import os

from talking import path, reap

import coshelf

with coshelf.open(path, timeout=60) as shelf:
    shelf["n"] = 0
    to_child, from_parent = os.pipe()
    with shelf.transaction() as t:
        pid = os.fork()
        if not pid:
            os.read(to_child, 1)
            os._exit(0)
    with coshelf.open(path, timeout=60) as other:
        other["n"] = 1
    os.write(from_parent, b"x")
    assert reap(pid) == 0
