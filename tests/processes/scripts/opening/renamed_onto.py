import os

from talking import hear, path, say

import coshelf
from coshelf.errors import ShelfGone

shelf = coshelf.open(path)
shelf["a"] = 1
say("open")
hear()
try:
    shelf["a"] += 1
    shelf.close()
except ShelfGone:
    say("gone")
os._exit(0)
