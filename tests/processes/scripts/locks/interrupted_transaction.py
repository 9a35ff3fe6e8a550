import signal

from talking import path, say

import coshelf

shelf = coshelf.open(path)
try:
    with shelf.transaction() as t:
        t["a"] = 1
        say("inside")
        signal.pause()
except KeyboardInterrupt:
    assert dict(shelf) == {}
    shelf["b"] = 1  # at once, in the handler: the lock has been released
with shelf.transaction() as t:
    t["c"] = 1
assert dict(shelf) == {"b": 1, "c": 1}
shelf.close()
