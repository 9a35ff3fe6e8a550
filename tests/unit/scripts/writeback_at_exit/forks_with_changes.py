import os
import sys

import coshelf

shelf = coshelf.open(sys.argv[1], writeback=True)
shelf.update(a=[1], b=[1])
shelf["a"].append("of the parent")
child = os.fork()
if child == 0:
    assert shelf["a"] == [1], shelf["a"]
    shelf["b"].append("of the child")
    match sys.argv[2]:
        case "close":
            shelf.close()
        case "sync":
            shelf.sync()
        case "end":
            pass
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
with coshelf.open(sys.argv[1]) as plain:
    assert plain["a"] == [1], plain["a"]
    assert plain["b"] == [1, "of the child"], plain["b"]
assert shelf["a"] == [1, "of the parent"]
shelf.close()
with coshelf.open(sys.argv[1]) as plain:
    assert dict(plain) == {"a": [1, "of the parent"], "b": [1, "of the child"]}, dict(plain)
