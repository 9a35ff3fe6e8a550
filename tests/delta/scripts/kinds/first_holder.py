from scripts.kinds.opened import open_shelf
from talking import hear, say

shelf = open_shelf()
shelf["a"] = 1
say("open")
hear()
say(shelf["b"])
