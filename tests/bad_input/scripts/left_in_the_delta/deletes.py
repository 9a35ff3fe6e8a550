import os
import sys

import coshelf

shelf = coshelf.open(sys.argv[1], flush_interval=1000)
shelf.update(dict.fromkeys(range(200), "x" * 1000))
file = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
try:
    while True:
        os.write(file, bytes(4096))
except OSError:
    pass
expected = dict(shelf)
try:
    for number in range(100_000):
        shelf["more", number] = "y" * 1000
        expected["more", number] = "y" * 1000
except coshelf.StorageFull:
    pass
else:
    raise AssertionError("never full")
for number in range(100):
    del shelf[number], expected[number]
assert dict(shelf) == expected
os.close(file)
os.unlink(sys.argv[2])
shelf.close()
with coshelf.open(sys.argv[1]) as shelf:
    assert dict(shelf) == expected
