import os

from insides import flush_all, flush_threads
from talking import path, reap

import coshelf

shelf = coshelf.open(path)
shelf["a"] = 0
flush_all(shelf)
pid = os.fork()
if pid == 0:
    os._exit(len(flush_threads()))
assert reap(pid) == 0
assert not flush_threads()
