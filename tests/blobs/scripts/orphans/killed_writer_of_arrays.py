"""Each way in which arrays are committed: one, many by themselves or with the delta, overwritten before it is
flushed."""

import sys

from arrays import signed
from talking import path, say

import coshelf

shelf = coshelf.open(path, flush_interval=1000, **eval(sys.argv[2]))


def write(**entries):
    say("begun", *entries)
    shelf.update(entries)
    say("done", *entries)


for turn in range(2):
    write(a=signed(turn + 1))
    write(a=signed(turn + 100), b=signed(turn + 200))
    with shelf.transaction() as t:
        t["aborted"] = signed(7)
        del t["aborted"]
        t["c"] = [signed(turn + 300), signed(turn + 400)]
    say("done", "c")
    shelf.sync()
    write(**{"d": signed(turn + 500)} | {f"pad{n}": n for n in range(1001)})
    del shelf["d"]
shelf.close()
