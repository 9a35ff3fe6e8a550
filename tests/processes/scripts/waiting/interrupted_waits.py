from talking import path, say

import coshelf
from coshelf.errors import WaitTimeout

with coshelf.open(path) as shelf:
    try:
        shelf.wait("it", timeout=0.01)  # imports what it needs: Python can lose an interrupt that hits an import
    except WaitTimeout:
        pass
    for turn in range(20):
        try:
            say("waiting")
            shelf.wait("it")
        except KeyboardInterrupt:
            shelf["turn"] = turn
            say("interrupted")
    assert shelf.wait("turn") == 19
