import os

from scripts.forks.held import check, child
from talking import reap

for _ in range(3):
    pid = os.fork()
    if pid == 0:
        os.close(2)
        child()
        raise LookupError("on purpose")
    assert reap(pid) == 1
check()
