from arrays import blobs, is_whole, signed
from insides import environment_of, use_kind
from talking import path

import coshelf

use_kind("DIRECT")
shelf = coshelf.open(path)
assert not environment_of(shelf).has_delta
for turn in range(3):
    shelf["a"] = signed(turn)
    shelf.update(b=signed(turn + 10), c=1)
try:
    with shelf.transaction() as t:
        t["d"] = signed(20)
        raise KeyError
except KeyError:
    pass
assert len(blobs(path)) == 2 and is_whole(shelf["a"]) and is_whole(shelf["b"])
with shelf.snapshot() as snapshot:
    del shelf["a"]
    assert is_whole(snapshot["a"])
assert len(blobs(path)) == 1
