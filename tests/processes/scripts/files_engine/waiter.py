from talking import path, say

import coshelf.mapping.watching

coshelf.mapping.watching._LONGEST_SLEEP = 1000.0  # a wake that is missed is a test that hangs
with coshelf.open(path) as shelf:
    say("ready")
    say(shelf.wait("a/b/c/d"))
