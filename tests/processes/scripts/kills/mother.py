"""A mother forks writers and kills them; each writes to a log, with O_APPEND, what has returned."""

import os
import random
import signal
import sys

from talking import path, reap

chance = random.Random(int(sys.argv[2]))
log = os.open(path + ".log", os.O_CREAT | os.O_RDWR | os.O_APPEND)


def fork(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    assert reap(pid) == -signal.SIGKILL, "it failed before"
