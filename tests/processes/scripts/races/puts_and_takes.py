import sys

from talking import hear, path, say

import coshelf

with coshelf.open(path) as shelf:
    queue, own = shelf.sub("queue"), int(sys.argv[2])
    say("ready")
    hear()
    taken = []
    for number in range(300):
        queue[f"{1_000 + number:04}/{own}"] = number
        taken.append(queue.popitem(last=own == 3)[0])
    for key in taken:
        say(key)
