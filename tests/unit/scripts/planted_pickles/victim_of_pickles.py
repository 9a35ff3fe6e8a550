import os
import sys

import coshelf

shelf = coshelf.open(sys.argv[1], flush_interval=1e6)
shelf["session"] = {"user": 1}
shelf.sync()
shelf["session"] = {"user": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}
os.kill(os.getpid(), 9)
