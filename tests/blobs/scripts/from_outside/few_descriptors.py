import os

from arrays import blobs, is_whole, signed
from talking import path, say

import coshelf
from coshelf.errors import StorageError

shelf = coshelf.open(path)
shelf["a"] = signed(1)
shelf.sync()
taken = []
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
for how in (lambda: shelf["a"], lambda: shelf.update(b=signed(2))):
    try:
        how()
    except StorageError as error:
        say(error.errno)
for descriptor in taken:
    os.close(descriptor)
assert is_whole(shelf["a"]) and list(shelf) == ["a"]
shelf["b"] = signed(2)
shelf.close()
assert len(blobs(path)) == 2
