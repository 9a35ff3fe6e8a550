import sys
import time

import test_gone_while_open
from talking import path

import coshelf
from coshelf.errors import ShelfGone

lose, what = sys.argv[2:]
shelf = coshelf.open(path, flush_interval=0.01)
shelf["a"] = 1
getattr(test_gone_while_open, lose)(path)
end = time.monotonic() + 300
try:
    while time.monotonic() < end:
        shelf["b"] = 2
        time.sleep(0.001)
except ShelfGone as error:
    assert what in str(error)
else:
    raise AssertionError("never told")
try:
    shelf.close()
except ShelfGone:
    pass
