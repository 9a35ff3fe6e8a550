import os
import sys

from talking import hear, path, say

import coshelf
import coshelf.engines.lmdb.files.state_page as page

if sys.argv[-1] == "namespaces unknown":
    page.pid_namespace = lambda: 0  # type: ignore[attr-defined]
assert os.getpid() == 1
shelf = coshelf.open(path, timeout=30)
shelf["count"] = 0
snapshot = shelf.snapshot()
say("holding")
hear()
open(os.path.join(os.path.dirname(path), ".a.shelf.coshelf/base-lock")).close()  # drops what LMDB itself holds
say("disturbed")
hear()
shelf["count"] += 1
assert snapshot["count"] == 0
