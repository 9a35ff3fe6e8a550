import os

from talking import path, reap

import coshelf


def threads():
    return len(os.listdir("/proc/self/task"))


at_fork = []  # asked after the library's own preparation, since its hook is the younger one
os.register_at_fork(before=lambda: at_fork.append(threads()))

from insides import flush_all, flush_threads, until

from coshelf.engines.lmdb import registry

registry._PATIENCE_AT_FORK = 60.0  # on a busy machine the thread may not end within a second
shelf = coshelf.open(path, flush_interval=1000)
shelf["a"] = 0
flush_all(shelf)
for turn in range(20):
    shelf["a"] = turn
    until(lambda: len(flush_threads()) == 1)  # the one before it may not have ended yet
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        assert threads() == 1
        assert shelf["a"] == turn
        os.read(reading, 1)  # what this process flushes, the parent's thread does not have to wait for
        shelf["child"] = turn
        assert len(flush_threads()) == 1
        shelf.close()
        assert not flush_threads()
        os._exit(0)
    assert at_fork.pop() == 1
    assert len(flush_threads()) == 1
    os.write(writing, b"x")
    assert reap(pid) == 0
    os.close(reading)
    os.close(writing)
    assert shelf["child"] == turn
shelf.close()
