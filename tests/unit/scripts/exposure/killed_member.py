import os
import sys

import coshelf

shelf = coshelf.open(sys.argv[1], flush_interval=1e6)
shelf["left by"] = os.getuid()
os.kill(os.getpid(), 9)
