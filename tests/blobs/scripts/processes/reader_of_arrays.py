from arrays import is_whole
from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, "r")
array = shelf["a"]
assert is_whole(array)  # so that all of it is mapped
say("mapped")
hear()
say(is_whole(array))
