import os
import time

from scripts.kills.mother import chance, fork, kill, log
from talking import path

import coshelf


def write(name, start):
    shelf = coshelf.open(path, timeout=60)
    turn = start
    while True:
        turn += 1
        values = {(name, place): (turn, "x" * (turn % 7 * 1000)) for place in range(5)}
        if turn % 3:
            values[name, "last"] = turn
            shelf.update(values)
        else:
            with shelf.transaction() as t:
                t.update(values)
                t[name, "last"] = turn
        os.write(log, b"%d %d\n" % (name, turn))


def logged():
    last = [0] * 4
    with open(path + ".log", "rb") as file:
        for line in file:
            name, turn = map(int, line.split())
            assert turn >= last[name] + 1
            last[name] = turn
    return last


last = [0] * 4
for _round in range(25):
    writers = [fork(lambda: write(name, last[name])) for name in range(4)]
    size = os.fstat(log).st_size
    enough = chance.randrange(0, 400)
    while os.fstat(log).st_size < size + enough:
        time.sleep(0.0005)
    time.sleep(chance.random() * 0.003)
    for pid in chance.sample(writers, 4):
        kill(pid)
        time.sleep(chance.random() * 0.001)
    known = logged()
    with coshelf.open(path, timeout=30) as shelf:
        for name in range(4):
            found = shelf.get((name, "last"), 0)
            # What returned is there; at most the one that was under way is there as well.
            assert known[name] <= found <= max(known[name], last[name]) + 1, (known, found)
            for place in range(5):
                if found:
                    assert shelf[name, place] == (found, "x" * (found % 7 * 1000))
            last[name] = found
    # A process that was killed while it made the shelf, and was not the first, leaves its file until the next making.
    names = sorted(name for name in os.listdir(os.path.dirname(path)) if not name.endswith(".new"))
    assert names == ["a.shelf", "a.shelf.log"], names
assert sum(last) > 100
