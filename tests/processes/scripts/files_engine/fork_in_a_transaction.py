import os

from talking import path, reap

import coshelf

with coshelf.open(path, timeout=30) as shelf:
    shelf["n"] = 0
    to_child, from_parent = os.pipe()
    with shelf.transaction() as t:
        t["n"] += 1
        pid = os.fork()
        if not pid:
            os.read(to_child, 1)
            with coshelf.open(path, timeout=30) as own:
                own.modify("n", lambda n: n + 10)
            os._exit(0)
    os.write(from_parent, b"x")
    assert reap(pid) == 0
    shelf.modify("n", lambda n: n + 100)
    assert shelf["n"] == 111
