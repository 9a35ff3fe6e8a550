import sys

from scripts.lock_file.disturb import disturb
from talking import hear, path, say

import coshelf
from coshelf.system.locks import ranges

if sys.argv[3:] == ["without such locks"]:
    ranges.have_open_file_locks = False
shelf = coshelf.open(path)
shelf.update(dict.fromkeys(range(100), (-1, "x" * 500)))
snapshot = shelf.snapshot()
items = iter(shelf.items())
next(items)
disturb()
say("holding")
hear()
assert list(snapshot.items()) == [(number, (-1, "x" * 500)) for number in range(100)]
assert list(items) == [(number, (-1, "x" * 500)) for number in range(1, 100)]
assert shelf[0] != snapshot[0]
say("right")
hear()
