from scripts.used_up.filling import fill, shelf
from talking import hear, say

say("made")
hear()
say(fill(1))
hear()
say(fill(2))
hear()
shelf.close()
