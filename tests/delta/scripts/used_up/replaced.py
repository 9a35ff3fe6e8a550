import os

from insides import waiting
from scripts.used_up.filling import check, fill, shelf
from talking import hear, path, say

say("made")
hear()
turn = fill(1)
check(turn)
assert sorted(name for name in os.listdir(os.path.dirname(path) + "/.a.shelf.coshelf") if "delta" in name) == [
    "delta-1",
    "delta-1-lock",
]
shelf["after"] = 1
assert set(waiting(shelf).values()) == {False}  # it goes into the delta as before
for later in range(2, 4):
    say("again")
    hear()
    turn = fill(later)
    del shelf["after"]
    check(turn)
    shelf["after"] = later
del shelf["after"]
check(turn)
shelf.close()
say(turn)
