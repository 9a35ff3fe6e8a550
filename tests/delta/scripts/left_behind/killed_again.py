import sys

from talking import hear, path, say

import coshelf
from coshelf.engines.lmdb.delta.flusher import Flusher

Flusher.notice = Flusher.start = lambda self: None  # nobody comes to flush
shelf = coshelf.open(path)
shelf["turn", int(sys.argv[2])] = 1
say("done")
hear()
