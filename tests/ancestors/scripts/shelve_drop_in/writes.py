import os
import signal
import sys

from coshelf import shelve

path, name, count = sys.argv[1:4]
shelf = shelve.open(path)
for number in range(int(count)):
    shelf[f"{name} {number}"] = [number]
if sys.argv[4:] == ["killed"]:
    os.kill(os.getpid(), signal.SIGKILL)
shelf.close()
