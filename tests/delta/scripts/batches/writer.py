import sys

from insides import arm, flush_all
from talking import path

import coshelf

shelf = coshelf.open(path, flush_interval=1000)
shelf.update({("old", n): n for n in range(10)})
flush_all(shelf)
shelf["waiting"] = 1
del shelf["old", 9]
arm(sys.argv[2])
if sys.argv[3] == "many":
    shelf.update({("new", n): n for n in range(1500)})
elif sys.argv[3] == "large":
    shelf.update({("new", 0): bytes(2_000_000), ("new", 1): 1, ("old", 0): "over"})
elif sys.argv[3] == "clear":
    shelf.clear()
else:
    shelf.update({("new", n): n for n in range(100)})
