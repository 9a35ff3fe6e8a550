import os
import signal

from talking import path, say

import coshelf
from coshelf.engines.lmdb.registry import REGISTRY


def start(work):
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        shelf = coshelf.open(path)
        work(shelf)
        os.write(tell, b"x")
        signal.pause()
    assert os.read(ready, 1)
    return pid


kept = []
with coshelf.open(path) as shelf:
    shelf["a"] = 0
    old = start(lambda shelf: kept.append(shelf.snapshot()))
    os.kill(old, signal.SIGKILL)
    os.waitpid(old, 0)
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(old - 1))
    new = start(lambda shelf: shelf["a"])  # before anybody looked for dead readers
    assert new == old
    for turn in range(300):
        shelf["a"] = turn
    [environment] = REGISTRY._open.values()
    readers = [line.split() for line in environment.base.lmdb.readers().splitlines()[1:]]  # type: ignore[attr-defined]
    say({txnid for pid, _, txnid in readers if int(pid) == new})
    os.kill(new, signal.SIGKILL)
