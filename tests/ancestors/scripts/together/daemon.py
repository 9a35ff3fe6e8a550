import os
import sys

from coshelf import shelve

shelf = shelve.open(sys.argv[1], writeback=True)
shelf["l"] = [1]
shelf["l"].append("before")
shelf["m"] = [1]
shelf["m"].append("before")
if os.fork():
    os._exit(0)
assert shelf["l"] == [1, "before"]
shelf["l"].append("behind")
shelf.sync()
print("done")
