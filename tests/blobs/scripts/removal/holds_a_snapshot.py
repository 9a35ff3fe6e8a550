import sys

from arrays import is_whole
from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, sys.argv[2])
with shelf.snapshot() as snapshot:
    say("held")
    hear()
    assert snapshot["a"][0] == 1 and is_whole(snapshot["a"])
say("released")
hear()
shelf.close()
