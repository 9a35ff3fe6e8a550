import os
import sys

from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, flush_interval=float(sys.argv[2]))
for turn in range(100):
    shelf[turn] = turn
say("done")
hear()
os._exit(0)
