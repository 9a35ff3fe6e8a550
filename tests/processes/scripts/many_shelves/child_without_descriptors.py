import os
import sys

from scripts.many_shelves.descriptors import descriptors
from talking import path, reap

import coshelf


def maps():
    with open("/proc/self/maps") as lines:
        return [line for line in lines if os.path.dirname(path) in line]


shelf = coshelf.open(path)
shelf["a"] = 1
iterator = iter(shelf.items())
next(iterator)
assert descriptors() and maps()
pid = os.fork()
if pid == 0:
    assert descriptors() == [] and maps() == [], (descriptors(), maps())
    shelf["b"] = 2
    assert dict(shelf) == {"a": 1, "b": 2}
    del iterator
    assert len(descriptors()) <= 5
    shelf.close()
    sys.exit()
assert reap(pid) == 0
assert dict(shelf) == {"a": 1, "b": 2}
