"""Count, store and add in a FanoutCache, and tell what was done. Without rounds it goes on until it is killed."""

import itertools
import sys

from talking import hear, path, say

from coshelf.diskcache import FanoutCache

rounds, name = int(sys.argv[2]), int(sys.argv[3])
cache = FanoutCache(path, shards=name + 1)
say("ready")
hear()
for number in itertools.count() if rounds == 0 else range(rounds):
    cache.incr("count", retry=True)
    say("counted")
    cache[name, number] = b"x" * (40_000 if number % 7 == 0 else 1)
    say("stored", number)
    if cache.add(("once", number), name, retry=True):
        say("added", number)
say("done")
