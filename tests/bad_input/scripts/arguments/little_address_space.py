import resource
import sys

import coshelf
import coshelf.engines.lmdb

resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]) << 20,) * 2)
with coshelf.open(sys.argv[1]) as shelf:
    shelf.update(dict.fromkeys(range(1000), "x" * 100))
    with shelf.snapshot() as snapshot, shelf.transaction() as t:
        t["a"] = 1
        assert len(snapshot) == 1000
    assert len(shelf) == 1001
with coshelf.open(sys.argv[1], "r") as shelf:
    assert len(shelf) == 1001
