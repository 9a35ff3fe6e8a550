import os
import sys

from talking import path, say

import coshelf
import coshelf.engines.lmdb.files.state_page as page
from coshelf.errors import StorageError

if sys.argv[-1] == "namespaces unknown":
    page.pid_namespace = lambda: 0  # type: ignore[attr-defined]
assert (os.getpid() == 1) == (sys.argv[2] == "equal pids")
try:
    shelf = coshelf.open(path, timeout=0.1)
except StorageError as error:
    say("refused", *str(error).split())
else:
    shelf["second"] = shelf["count"]
    say("open")
