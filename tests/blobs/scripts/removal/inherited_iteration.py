import gc
import os

from arrays import blobs, signed
from insides import environment_of
from talking import path, reap

import coshelf

shelf = coshelf.open(path)
shelf["a"] = signed(1)
shelf.sync()
items = iter(shelf.items())
assert next(items)[1][0] == 1
shelf["a"] = signed(2)
shelf.sync()
pid = os.fork()
if pid == 0:
    del items
    gc.collect()
    os._exit(9 if environment_of(shelf).is_open else 7)
assert reap(pid) == 7
assert len(blobs(path)) == 2
del items
