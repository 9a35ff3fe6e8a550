import os
import sys

from talking import path, reap, say

import coshelf
from coshelf.errors import ShelfClosed, ShelfLocked

shelf = coshelf.open(path, timeout=0.3)
shelf["a"] = "before"
parent = os.getpid()
try:
    with shelf.transaction() as t:
        t["a"] = "inside"
        pid = os.fork()
        if pid == 0:
            os.close(2)
            for use in (
                lambda: t["a"],
                lambda: t.update(a="child"),
                lambda: len(t),
                lambda: t.sub("a").pop("b"),
            ):
                try:
                    use()
                except ShelfClosed:
                    continue
                os._exit(3)
            assert shelf["a"] == "before"
            match sys.argv[2]:
                case "os._exit":
                    os._exit(0)
                case "sys.exit":
                    sys.exit(0)
                case "exception":
                    raise LookupError
        else:
            code = reap(pid)
            assert code in (0, 1), code
            # The lock is still ours: another process is kept out.
            pid = os.fork()
            if pid == 0:
                try:
                    shelf["b"] = 1
                except ShelfLocked as error:
                    os._exit(0 if error.pid == parent else 4)
                os._exit(5)
            assert reap(pid) == 0
            t["a"] = "committed"
except ShelfClosed:
    if os.getpid() == parent:
        raise
    sys.exit(1)
say(os.getpid() == parent, shelf["a"])
