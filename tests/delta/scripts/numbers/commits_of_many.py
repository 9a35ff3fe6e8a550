"""Each commit writes entries of one version; its own are told as they are committed."""

import sys

from talking import hear, path, say

import coshelf
from coshelf import keys

name = int(sys.argv[2])
shelf = coshelf.open(path, flush_interval=0.003)
say("ready")
hear()


def number(key):
    return shelf._handle.engine.get(keys.encode(key)).version  # type: ignore[union-attr]


numbers = []
for turn in range(60):
    if turn % 20 == 19:
        shelf.update({(name, "many", n): turn for n in range(1001)})
        numbers.append(number((name, "many", 0)))
    elif turn % 5:
        shelf[name] = turn
        numbers.append(number(name))
    else:
        with shelf.transaction() as t:
            t[name] = turn
            t[name, "also"] = turn
        numbers.append(number(name))
        assert number((name, "also")) == numbers[-1]
assert numbers == sorted(set(numbers)), numbers
say(*numbers)
