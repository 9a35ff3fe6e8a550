from arrays import signed
from talking import hear, path, say

import coshelf

shelf = coshelf.open(path)
with shelf.transaction() as t:
    t["a"] = signed(1)
    say("written")
    hear()
say("committed")
