import ctypes
import os
import signal

from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, timeout=30)
say("open")
hear()
child = ctypes.PyDLL(None).fork()
if child == 0:
    signal.alarm(300)
    signal.pause()
try:
    shelf.close()
    with coshelf.open(path, timeout=30) as shelf:
        shelf["parent"] = 1
    say("closed")
    hear()
finally:
    os.kill(child, signal.SIGKILL)
