import resource
import sys

import coshelf

path, durability, has_delta = sys.argv[1:]
with coshelf.open(path, durability=durability) as shelf:
    expected = {}
    if has_delta == "True":
        shelf["first"] = expected["first"] = 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (512 * 1024, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    for n in range(10_000):
        try:
            shelf[n] = "x" * 700  # commits work for as long as the delta, or else the file, has room
        except coshelf.StorageError as error:
            assert path in str(error), error
            if "all processes see it" in str(error):
                expected[n] = "x" * 700
            break
        expected[n] = "x" * 700
        try:
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
