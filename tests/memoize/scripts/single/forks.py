"""Forks while it computes. The child ends in the way that forked children usually end, and in the other one."""

import gc
import os
import sys


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def left() -> list[str]:
    """The service threads that have not ended, for a failure."""
    return [each.name for each in gc.get_objects() if type(each) is ServiceThread and each._ended.locked()]


at_fork: list[int] = []
names_at_fork: list[str] = []


def note() -> None:
    at_fork.append(threads())
    names_at_fork.extend(left())


os.register_at_fork(before=note)  # called after coshelf's own


from talking import hear, path, reap, say

import coshelf
from coshelf.engines import periodic
from coshelf.engines.lmdb import registry
from coshelf.system.threads.cooperation import ServiceThread
from service_threads import service_threads

registry._PATIENCE_AT_FORK = periodic._PATIENCE = 60.0  # on a busy machine the threads end late

with coshelf.open(path) as shelf:

    @shelf.memoize
    def slow(number):
        before = threads()
        child = os.fork()
        if not child:
            if sys.argv[2] == "exit":
                os._exit(0)
            raise SystemExit(0)
        assert reap(child) == 0
        assert before > 1
        assert at_fork == [1], (at_fork, names_at_fork)
        assert service_threads("coshelf-claims")
        say("computing")
        hear()
        return number

    say("returned", slow(1))
