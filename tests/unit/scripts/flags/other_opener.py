import sys

import coshelf

with coshelf.open(sys.argv[1]) as shelf, shelf.snapshot() as snapshot:
    print(len(snapshot), flush=True)
    sys.stdin.readline()
    assert len(snapshot) == 500 and snapshot[7] == "x" * 100
    assert dict(shelf) == {"new": 1}, len(shelf)
    shelf["mine"] = 2
