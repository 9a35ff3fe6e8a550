import os

from talking import hear, path, say

import coshelf


class Last:
    def __init__(self):
        self.shelf = coshelf.open(path, flush_interval=1000)
        self.read, self.write = os.read, os.write
        self.me = self  # a cycle, so that it is collected when modules are torn down

    def __del__(self):
        self.write(1, b"late\n")
        self.read(0, 10)
        self.shelf["deleted"] = 1


last = Last()
last.shelf["b"] = 2
say("open")
hear()
