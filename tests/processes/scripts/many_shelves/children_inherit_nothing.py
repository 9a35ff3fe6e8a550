import os
import subprocess
import sys

from talking import path

import coshelf

with coshelf.open(path) as shelf:
    shelf["a"] = 1
    program = "import os; print(*[os.path.realpath('/proc/self/fd/' + n) for n in os.listdir('/proc/self/fd')])"
    seen = subprocess.run([sys.executable, "-c", program], close_fds=False, capture_output=True, text=True)
    assert seen.returncode == 0 and os.path.dirname(path) not in seen.stdout, seen
