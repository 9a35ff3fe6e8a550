import os
import sys
import time

root, outside = sys.argv[1:]
print("ready", flush=True)
end = time.monotonic() + 2
while time.monotonic() < end:
    try:
        os.rename(root + "/swap", root + "/away")
    except OSError:
        pass
    try:
        os.symlink(outside, root + "/swap")
        os.unlink(root + "/swap")
        os.rename(root + "/away", root + "/swap")
    except OSError:
        pass
