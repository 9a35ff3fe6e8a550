from talking import path, say

import coshelf

with coshelf.open(path) as shelf:
    say("ready")
    last = looks = 0
    while "over" not in shelf or not looks:
        now = shelf.get("count", 0)
        assert now >= last, (now, last)
        last, looks = now, looks + 1
