import gc

from talking import path, say

import coshelf

shelf = coshelf.open(path)
shelf["a"] = [memoryview(bytes(range(256)) * 4096)]
kept = []


class Node:
    def __init__(self, view):
        self.view, self.itself = view, self

    def __del__(self):
        say(bytes(self.view[1_000_000:1_000_003]).hex())
        kept.append(self.view)


Node(shelf["a"][0])
shelf.close()
gc.collect()
say(bytes(kept[0][255:258]).hex())
