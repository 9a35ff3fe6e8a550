import sys

from insides import arm, flush_all
from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, flush_interval=1000)
shelf.update({"a": 1, "b": -1, "gone": 0, "x" * 600: 1})
flush_all(shelf)
shelf.update({"a": 2, "b": -2, "x" * 600: 2})
del shelf["gone"]
shelf["new"] = 0
arm(sys.argv[2])
say("flushing")
shelf.sync()
assert shelf["new"] == (0 if sys.argv[2] == "empty-begun" else 1)
say("flushed")
hear()
