import os
import sys

from coshelf import shelve

shelf = shelve.open(sys.argv[1], writeback=True)
shelf.update(l=[1], m=[1], n=[1])
for key in "lmn":
    shelf[key].append(2)
ready, go = os.pipe()
if os.fork() == 0:
    os.read(ready, 1)
    match sys.argv[2]:
        case "does nothing":
            pass
        case "closes":
            shelf.close()
        case "appends":
            shelf["m"].append("child")
        case "appends and syncs":
            shelf["l"].append("child")
            shelf.sync()
        case "stores":
            shelf["new"] = 1
    sys.exit()
shelf["l"].append(3)
shelf.sync()
os.write(go, b"x")
assert os.wait()[1] == 0
with shelve.open(sys.argv[1]) as other:
    print(dict(other))
