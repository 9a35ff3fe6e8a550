from talking import hear, path, say

import coshelf

shelf = coshelf.open(path)
shelf["a"] = 1
snapshot = shelf.snapshot()
t = shelf.transaction()
t.__enter__()["b"] = 1
say("open")
hear()
