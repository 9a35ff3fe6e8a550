from talking import path, say

import coshelf

with coshelf.open(path) as shelf:
    say("ready")
    while "over" not in shelf:
        assert shelf["value"] == "before"
