from talking import path, say

import coshelf

say("ready")
with coshelf.open(path) as shelf:
    n = 0
    while True:
        n += 1
        shelf.update({"small": (n, n), "large": (n, "x" * 300_000)})
