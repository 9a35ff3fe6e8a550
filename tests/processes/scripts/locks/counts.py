import sys

from talking import hear, path, say

import coshelf

with coshelf.open(path) as shelf:
    say("ready")
    hear()
    for _ in range(int(sys.argv[2])):
        shelf.modify("n", lambda value: value + 1, default=0)
