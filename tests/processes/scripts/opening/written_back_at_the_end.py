import sys

from talking import path

import coshelf

if sys.argv[2] == "finalized before":
    import threading
    import weakref

    weakref.finalize(threading, len, ())
shelf = coshelf.open(path, writeback=True)
shelf["a"] = []
shelf["a"].append(1)
