import os
import resource
import sys

import coshelf
import coshelf.engines.lmdb  # while modules can be loaded

with coshelf.open(sys.argv[1]) as shelf:
    shelf["a"] = 1
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
for _free in range(32):
    try:
        shelf = coshelf.open(sys.argv[1])
    except coshelf.CoshelfError as error:
        assert "open files" in str(error), error
        assert not isinstance(error, (coshelf.NotAShelf, coshelf.DamagedShelf, coshelf.ShelfNotFound)), repr(error)
    else:
        with shelf:
            assert dict(shelf) == {"a": 1}
        break
    os.close(taken.pop())
else:
    raise AssertionError("never opened")
