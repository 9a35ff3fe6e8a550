import threading

from talking import path, say

import coshelf

shelf = coshelf.open(path, timeout=1000)
held, go = threading.Event(), threading.Event()


def hold():
    with shelf.transaction() as t:
        t["a"] = 1
        held.set()
        go.wait()


thread = threading.Thread(target=hold)
thread.start()
held.wait()
try:
    say("waiting")
    shelf["b"] = 1
except KeyboardInterrupt:
    say("interrupted")
go.set()
thread.join()
shelf["c"] = 1
assert dict(shelf) == {"a": 1, "c": 1}
shelf.close()
