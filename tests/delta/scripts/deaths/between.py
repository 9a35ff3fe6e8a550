import os
import sys

import coshelf

shelf = coshelf.open(sys.argv[1], flush_interval=1000)
print(os.getpid(), flush=True)
shelf.update({"a": 1, "there": 1} | {("pad", n): 1 for n in range(1001)})
print("survived")
