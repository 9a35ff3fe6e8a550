import itertools
import os
import sys

import coshelf

path, rounds = sys.argv[1], int(sys.argv[2])
before = sorted(os.listdir(os.path.dirname(path)))
lost = count = 0
shelf = coshelf.open(path, "r")
print("open", flush=True)
for turn in itertools.count():
    if turn >= rounds and count > 10:  # where a commit takes its time, it is waited for
        break
    if turn % 20 == 0:
        shelf.close()
        shelf = coshelf.open(path, "r")
    try:
        count = shelf["count"]
        row = shelf[turn % 100]
        assert row[0] == turn % 100 and row[2] == "x" * row[1], row
        assert shelf["count"] >= count
        many = shelf.get_many(range(10))
        assert len({row[1] for row in many.values()}) == 1 and len(many) == 10, many
        assert len(shelf) == 101
        seen = dict(shelf.items(start=0, stop=100))
        assert list(seen) == list(range(100)) and len({row[1] for row in seen.values()}) == 1
    except coshelf.SnapshotLost:
        lost += 1
assert lost < turn
with open(os.devnull) as _:
    pass
shelf.close()
print("lost", lost, flush=True)
