import sys

from talking import path

import coshelf

for _turn in range(150):
    with coshelf.open(path, sys.argv[2]) as shelf:
        if sys.argv[2] == "w":
            shelf.modify("n", lambda n: n + 1)
        assert shelf["n"] >= 0
