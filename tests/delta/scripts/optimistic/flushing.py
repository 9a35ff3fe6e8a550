import sys

from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, flush_interval=0)  # flushed all the time
say("ready")
hear()
name = int(sys.argv[2])
