import atexit
import sys
import threading
import time
import weakref

from talking import path

import coshelf


class Last:
    def __init__(self, shelf):
        self.shelf = shelf
        self.me = self  # a cycle, so that it is collected when modules are torn down

    def __del__(self):
        self.shelf["deleted"] = 1


def last_word():
    shelf["ended"] = 1
    shelf.modify("count", lambda count: count + 1, default=0)
    with shelf.transaction() as transaction:
        transaction["together"] = transaction["ended"]
    assert shelf["ended"] == 1 and len(shelf) == 4


# The worker has imported coshelf by now. Functions run in the reverse order of their registration, and those of
# finalizers were registered with the first of these.
atexit.unregister(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
atexit.register(last_word)
atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]

shelf = coshelf.open(path, durability=sys.argv[2])
shelf["a"] = 1
last = Last(shelf)


def write():
    while True:
        other["thread"] = 1


if sys.argv[3:] == ["beside a thread"]:
    other = coshelf.open(path + "-other")
    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    while "thread" not in other:
        time.sleep(0.001)
