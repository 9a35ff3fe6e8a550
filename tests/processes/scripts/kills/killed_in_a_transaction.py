import time

from talking import path, say

import coshelf

shelf = coshelf.open(path)
with shelf.transaction() as t:
    t["a"] = "the victim's"
    t["b"] = "the victim's"
    say("inside")
    time.sleep(100)
