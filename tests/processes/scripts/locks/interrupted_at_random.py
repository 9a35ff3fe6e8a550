import os
import signal
import sys
import threading

from talking import path, say

import coshelf


def interrupt_again(unraisable):
    """Python forgets an interrupt in a finalizer, and one in this hook. Here it comes again, after the hook."""
    threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()


sys.unraisablehook = interrupt_again
shelf = coshelf.open(path, timeout=30)
shelf.update(a=0, b=0)


def work():
    while True:
        with shelf.transaction() as t:
            t["a"] += 1
            t["b"] -= 1
        shelf.modify("n", lambda n: n + 1, default=0)
        shelf["k"] = 1
        shelf.pop("k", None)
        list(shelf.items())


for _turn in range(150):
    try:
        say("working")
        work()
    except KeyboardInterrupt:
        pass
    found = shelf.get_many(["a", "b"])
    assert found["a"] + found["b"] == 0
say("done")
