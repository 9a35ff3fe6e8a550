import os
import threading

from talking import hear, path, reap, say

import coshelf
from coshelf.engines.lmdb.locks import writer_mutex

writer_mutex._PERIOD = 1000


def names():
    return [thread.name for thread in threading.enumerate()]


with coshelf.open(path, flush_interval=1000) as shelf:
    say("ready")
    hear()
    shelf["a"] = 2
    assert "coshelf-waker" in names()
    pid = os.fork()
    if not pid:
        assert shelf["a"] == 2
        shelf["b"] = 3
        os._exit(0)
    assert "coshelf-waker" not in names()
    assert reap(pid) == 0
    assert shelf["b"] == 3
