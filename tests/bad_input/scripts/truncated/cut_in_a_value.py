import os
import shutil
import subprocess
import sys

import coshelf

path = sys.argv[1]
with coshelf.open(path) as shelf:
    shelf.update({n: bytes([n]) * 9_000 for n in range(8)})
if sys.argv[2] == "killed":
    code = "import coshelf, os, sys; s = coshelf.open(sys.argv[1]); s['a'] = 1; s.sync(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, path])
    for name in os.listdir(os.path.dirname(path)):
        if name != "cut.shelf":
            shutil.rmtree(os.path.join(os.path.dirname(path), name))
whole = open(path, "rb").read()
refused = 0
for length in range(4096 * 3, len(whole), 1000):
    for trust in (True, None):
        with open(path, "wb") as file:
            file.write(whole[:length])
        print(length, flush=True)
        try:
            with coshelf.open(path, trust=trust) as shelf:
                for value in shelf.values():
                    assert value == 1 or value == value[:1] * 9_000
        except coshelf.DamagedShelf:
            refused += 1
assert refused > 10
