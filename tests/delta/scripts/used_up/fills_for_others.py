from scripts.used_up.filling import check, fill, shelf
from talking import hear, say

say("made")
hear()
turn = fill(1)
check(turn)
say(turn)
hear()
assert shelf["theirs"] == 1
shelf["mine"] = 2
say("read")
hear()
shelf.close()
