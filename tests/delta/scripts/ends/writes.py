"""Commits what waits in the delta, and ends as it is told."""

import gc
import os
import sys

from insides import flush_all, waiting
from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, flush_interval=1000)
shelf["first"] = 1
flush_all(shelf)
shelf.update(a=1, b=[2])
del shelf["first"]
assert len(waiting(shelf)) == 3
match sys.argv[2]:
    case "close":
        shelf.close()
    case "sys.exit":
        sys.exit(0)
    case "del":
        del shelf
    case "collected":
        shelf = None
        gc.collect()
    case "error":
        os.close(2)
        raise LookupError
    case "os._exit":
        os._exit(0)
    case "os._exit when told":
        say("written")
        hear()
        os._exit(0)
    case "end of script":
        pass
