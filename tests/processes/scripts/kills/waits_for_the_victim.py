from talking import path, say

import coshelf

with coshelf.open(path) as shelf:
    say("waiting")
    shelf.modify("a", lambda value: value + 1)
