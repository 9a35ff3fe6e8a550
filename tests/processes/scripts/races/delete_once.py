from talking import hear, path, say

import coshelf

with coshelf.open(path) as shelf:
    say("ready")
    hear()
    done = 0
    for key in range(150):
        try:
            del shelf[key]
            done += 1
        except KeyError:
            pass
    say(done)
