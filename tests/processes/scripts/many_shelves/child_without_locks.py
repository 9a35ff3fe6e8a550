import os
import time

from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, flush_interval=1000)
shelf["a"] = 1
snapshot = shelf.snapshot()
if os.fork() == 0:
    say("forked")
    hear()
    os._exit(0)
time.sleep(100)
