import resource
import sys

import coshelf

path, durability = sys.argv[1:]
with coshelf.open(path, durability=durability) as shelf:
    resource.setrlimit(resource.RLIMIT_FSIZE, (512 * 1024, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    expected = {}
    for n in range(10_000):
        expected[n] = "x" * 700  # commits work for as long as the delta has room
        try:
            shelf[n] = "x" * 700
            if n % 100 == 99:
                shelf.sync()
        except coshelf.StorageError as error:
            assert path in str(error), error
            break
    else:
        raise AssertionError("never full")
    assert len(expected) > 50
    assert shelf.copy() == expected
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
    shelf["later"] = "works"
with coshelf.open(path, "r") as shelf:
    assert shelf.copy() == expected | {"later": "works"}
