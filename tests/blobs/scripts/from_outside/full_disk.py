import resource
import signal

from arrays import blobs, signed
from talking import path, say

import coshelf
from coshelf.errors import StorageFull
from coshelf.values.blobs import LARGE

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
shelf = coshelf.open(path)
shelf["a"] = signed(1)
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (6 * LARGE, limits[1]))
for how in (lambda: shelf.update(b=signed(2, 8 * LARGE)), lambda: shelf.__setitem__("c", signed(2, 9 * LARGE))):
    try:
        how()
    except StorageFull:
        say("full")
assert list(shelf) == ["a"] and len(blobs(path)) == 1
