import sys

from talking import hear, path, say

import coshelf

with coshelf.open(path) as shelf:
    say("ready")
    hear()
    for key in range(100):
        say(shelf.setdefault(key, int(sys.argv[2])))
