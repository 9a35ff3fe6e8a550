import os

from talking import hear, path, reap, say

import coshelf
from coshelf.engines.lmdb import registry
from coshelf.engines.lmdb.locks import writer_mutex
from service_threads import service_threads

writer_mutex._PERIOD = 1000
registry._PATIENCE_AT_FORK = writer_mutex._PATIENCE = 60.0  # on a busy machine the threads end late

with coshelf.open(path, flush_interval=1000) as shelf:
    say("ready")
    hear()
    shelf["a"] = 2
    assert service_threads("coshelf-waker")
    pid = os.fork()
    if not pid:
        assert shelf["a"] == 2
        shelf["b"] = 3
        os._exit(0)
    assert not service_threads("coshelf-waker")
    assert reap(pid) == 0
    assert shelf["b"] == 3
