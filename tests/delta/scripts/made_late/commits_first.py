import os
import sys

from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, flush_interval=1000)
say("ready")
hear()
for n in range(20):
    shelf[int(sys.argv[2]), n, os.getpid()] = n
    shelf.modify("count", lambda value: value + 1, default=0)
shelf.close()
