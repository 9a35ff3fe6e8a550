import os
import subprocess
import sys

from arrays import is_whole, signed
from talking import path, reap

import coshelf

shelf = coshelf.open(path)
with shelf.transaction() as t:
    t["a"] = signed(1)
    pid = os.fork()
    if pid == 0:
        sys.exit(0)  # with all finalizers
    assert reap(pid) == 0
    subprocess.run([sys.executable, "-c", "import coshelf, sys; coshelf.open(sys.argv[1])", path], check=True)
assert is_whole(shelf["a"])
