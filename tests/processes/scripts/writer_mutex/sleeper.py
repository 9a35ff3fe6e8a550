from talking import hear, path, say

import coshelf

with coshelf.open(path, flush_interval=1000) as shelf:
    shelf["before"] = 1
    say("ready")
    hear()
    shelf["a"] = 2
    shelf.sync()
    say("done")
    hear()
    assert shelf["a"] == 2
