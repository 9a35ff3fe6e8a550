import os
import sys

import coshelf

shelf = coshelf.open(sys.argv[1], flush_interval=1e6)
shelf["a"] = "old"
shelf.sync()
shelf.backup(sys.argv[1] + ".copy")
shelf["a"] = "new"
os.kill(os.getpid(), 9)
