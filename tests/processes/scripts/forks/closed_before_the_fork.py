import os

from talking import path, reap

import coshelf
from coshelf.errors import ShelfClosed

shelf = coshelf.open(path)
shelf.close()
pid = os.fork()
if pid == 0:
    try:
        shelf["a"]
    except ShelfClosed:
        os._exit(0)
    os._exit(1)
assert reap(pid) == 0
