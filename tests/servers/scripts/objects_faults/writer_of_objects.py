"""What each writer does: a lock made of one entry guards a counter that is read and written without any check, another
counter is changed by modify(), and entries are popped, each by one alone."""

import os
import sys

import coshelf

url, rounds, conditionally = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "True"
shelf = coshelf.open(url, timeout=30)
engine = shelf._handle.engine
engine._deletes_conditionally = engine._deletes_conditionally and conditionally  # type: ignore[attr-defined]
me = os.getpid()
popped = []
for number in range(rounds):
    while shelf.setdefault("lock", me) != me:
        pass
    shelf["guarded"] = shelf.get("guarded", 0) + 1
    del shelf["lock"]
    shelf.transact(lambda t: t.modify("counted", lambda n: n + 1, default=0), attempts=1000)
    value = shelf.pop(("item", number), None)
    if value is not None:
        popped.append(value)
print(*popped)
