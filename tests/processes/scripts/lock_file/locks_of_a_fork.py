import os
import signal
import sys

from scripts.lock_file.disturb import disturb
from talking import hear, path, reap, say

import coshelf

shelf = coshelf.open(path)
shelf["a"] = 0
snapshot = shelf.snapshot()
ready, tell = os.pipe()
child = os.fork()
if child == 0:
    signal.alarm(300)
    if sys.argv[3] == "uses":
        shelf["a"] = 1
        disturb()
    os.write(tell, b"x")
    if sys.argv[3] != "ends":
        signal.pause()
    os._exit(0)
os.read(ready, 1)
if sys.argv[3] == "ends":
    reap(child)
disturb()
say(child)
hear()
assert snapshot["a"] == 0
say(shelf["a"])
hear()
