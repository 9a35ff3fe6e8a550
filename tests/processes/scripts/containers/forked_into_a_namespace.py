import ctypes
import os

from talking import path, say

import coshelf
from coshelf.errors import StorageError

shelf = coshelf.open(path, timeout=0.1)
shelf["a"] = 1
assert ctypes.CDLL(None).unshare(0x20000000) == 0  # CLONE_NEWPID: for the children
if os.fork() == 0:
    try:
        shelf["a"]
    except StorageError as error:
        say("refused", *str(error).split())
    os._exit(0)
os.wait()
shelf["a"] += 1
assert shelf["a"] == 2
