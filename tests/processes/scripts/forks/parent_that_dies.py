import os
import time

from talking import hear, path, say

import coshelf

shelf = coshelf.open(path)
shelf["a"] = 1
transaction = shelf.transaction()
t = transaction.__enter__()
t["a"] = 2
if os.fork() == 0:
    os.close(1)
    hear()  # stays, without ever touching the shelf
    os._exit(0)
say("holding")
time.sleep(100)
