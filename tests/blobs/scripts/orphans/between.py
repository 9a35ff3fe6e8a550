import os
import sys

from arrays import signed

import coshelf

shelf = coshelf.open(sys.argv[1], flush_interval=1000)
print(os.getpid(), flush=True)
shelf.update({"a": signed(1)} | {("pad", n): 1 for n in range(1001)})
print("survived")
