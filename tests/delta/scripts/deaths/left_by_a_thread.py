from talking import hear, path, say

import coshelf
from coshelf.engines.lmdb.delta.flusher import Flusher

Flusher.notice = lambda self: None
shelf = coshelf.open(path)
shelf["a"] = 1
say("done")
hear()
