import sys

import coshelf

shelf = coshelf.open(sys.argv[1])
while True:
    shelf.modify("count", lambda count: count + 1, default=0)
    print("counted", flush=True)
