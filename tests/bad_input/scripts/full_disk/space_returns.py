import os
import sys

from scripts.full_disk.filling import ballast, folder, leave, path

import coshelf

durability, way = sys.argv[2:]
shelf = coshelf.open(path, durability=durability)
shelf["a"] = 1
shelf.sync()
leave(0)
expected = {"a": 1}
# The space of the delta is taken already: commits work, and are kept, but cannot reach the file.
for n in range(10_000):
    try:
        shelf["b", n] = "x" * 20_000
    except coshelf.StorageFull as error:
        assert path in str(error), error
        if "all processes see it" not in str(error):
            break
        assert durability == "commit"
    else:
        assert durability == "interval"
    expected["b", n] = "x" * 20_000
    try:
        shelf.sync()
    except coshelf.StorageFull as error:
        assert path in str(error) and "is kept" in str(error), error
    else:
        raise AssertionError("found room")
    assert dict(shelf) == expected
else:
    raise AssertionError("never full")
assert len(expected) > 10, len(expected)
if way == "closed":
    try:
        shelf.close()
    except coshelf.StorageFull as error:
        assert path in str(error), error
    else:
        raise AssertionError("found room")
os.remove(ballast)
if way == "closed":
    shelf = coshelf.open(path)
assert dict(shelf) == expected
shelf["b", n] = "x" * 20_000
shelf.sync()
assert dict(shelf) == expected | {("b", n): "x" * 20_000}
shelf.close()
assert os.listdir(folder) == ["my.shelf"]
with coshelf.open(path, "r") as shelf:
    assert dict(shelf) == expected | {("b", n): "x" * 20_000}
