import atexit


def last_word():  # runs after coshelf's own functions, since it is registered before they are
    shelf["ended"] = 1
    shelf.modify("count", lambda count: count + 1, default=0)
    shelf.update({f"n/{number}": number for number in range(20)})
    assert shelf.get_many([f"n/{number}" for number in range(20)]) == {f"n/{number}": number for number in range(20)}
    assert len(list(shelf)) == 23, list(shelf)


atexit.register(last_word)

import logging
import sys

import coshelf

logging.getLogger("coshelf").setLevel(logging.ERROR)  # a slow machine is told that it waits


class Last:
    def __init__(self, shelf):
        self.shelf = shelf
        self.me = self  # a cycle, so that it is collected when modules are torn down

    def __del__(self):
        self.shelf["deleted"] = 1


shelf = coshelf.open(sys.argv[1], timeout=100)
shelf["a"] = 1
shelf.update({"n/0": None, "n/1": None})  # several, so that what has threads has started them
last = Last(shelf)
