"""Ends with entries in the delta alone: new ones, one that was overwritten, one that was deleted, and a long key."""

import os
import sys

import coshelf

shelf = coshelf.open(sys.argv[1], flush_interval=1000)
shelf.update(old=1, gone=1, changed=1)
shelf.sync()
shelf["new"] = [2]
shelf["changed"] = 2
shelf["long" * 300] = 3
del shelf["gone"]
os._exit(0)
