import select
import sys

from talking import path, say

import coshelf

with coshelf.open(path) as shelf:
    shelf["n"] = 0
    say("counting")
    count = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        shelf.modify("n", lambda value: value + 1)
        count += 1
say(count)
