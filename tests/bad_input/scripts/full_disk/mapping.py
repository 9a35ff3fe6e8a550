import dbm.dumb
import resource
import sys

import coshelf

with dbm.dumb.open(sys.argv[1], "c") as mapping:
    shelf = coshelf.open(mapping)
    shelf["a"] = "old"
    shelf["b"] = "old"
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        shelf.update({"a": "new", "b": "x" * 100_000})
    except OSError:
        pass
    else:
        raise AssertionError("stored")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert shelf.copy() == {"a": "old", "b": "old"}
