import os
import threading
import warnings

from insides import flush_all
from talking import path, reap

import coshelf
from coshelf.engines.lmdb.base_writer import BaseWriter

warnings.simplefilter("ignore", DeprecationWarning)  # the thread is this script's own
shelf = coshelf.open(path, flush_interval=1000)
shelf["first"] = 1
flush_all(shelf)
shelf["waiting"] = 1
inside, forked = threading.Event(), threading.Event()
finish = BaseWriter.finish


def wait_and_finish(self, *arguments):
    inside.set()
    assert forked.wait(300)
    finish(self, *arguments)


BaseWriter.finish = wait_and_finish
thread = threading.Thread(target=shelf.sync)
thread.start()
assert inside.wait(300)
pid = os.fork()
if pid == 0:
    BaseWriter.finish = finish
    assert dict(shelf) == {"first": 1, "waiting": 1}
    shelf["child"] = 1
    os._exit(0)
assert reap(pid) == 0
forked.set()
thread.join()
assert dict(shelf) == {"first": 1, "waiting": 1, "child": 1}
shelf.close()
