from talking import hear, path, say

import coshelf

with coshelf.open(path) as shelf:
    say("ready")
    hear()
    won = 0
    while (turn := shelf["turn"]) < 300:
        won += shelf.replace("turn", turn, turn + 1)
    say(won)
