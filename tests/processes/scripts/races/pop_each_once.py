from talking import hear, path, say

import coshelf

with coshelf.open(path) as shelf:
    say("ready")
    hear()
    for key in range(200):
        if shelf.pop(key, None) is not None:
            say("pop", key)
    queue = shelf.sub("queue")
    while True:
        try:
            key, value = queue.popitem(last=False)
        except KeyError:
            break
        say("popitem", value)
