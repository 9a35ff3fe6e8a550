import os

from arrays import is_whole, signed
from talking import path, reap, say

import coshelf

shelf = coshelf.open(path)
shelf["a"] = signed(1)
array = shelf["a"]
pid = os.fork()
if pid == 0:
    assert is_whole(array)
    shelf["b"] = signed(2)
    del shelf["a"]
    shelf.sync()
    assert is_whole(array) and is_whole(shelf["b"])
    shelf.close()
    assert is_whole(array)
    os._exit(7)
assert reap(pid) == 7
assert is_whole(array) and "a" not in shelf and is_whole(shelf["b"])
shelf["c"] = signed(3)
shelf.close()
assert is_whole(array)
say("whole")
