from talking import hear, path, say

import coshelf

with coshelf.open(path) as shelf:
    with shelf.transaction() as t:
        t["half"] = "not committed"
        say("holding")
        hear()
        say("still holding")
    say("released")
    hear()
