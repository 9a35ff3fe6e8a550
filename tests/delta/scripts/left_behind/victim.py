""" "kept" is in the base; "waiting" and the deletion of "gone" are in the delta alone."""

from insides import flush_all
from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, flush_interval=1000)
shelf.update(kept=1, gone=1)
flush_all(shelf)
shelf["waiting"] = 2
del shelf["gone"]
shelf["x" * 600] = 3
say("waiting")
hear()
shelf.sync()
say("synced")
hear()
