"""Forks while it computes. The child ends in the way that forked children usually end, and in the other one."""

import os
import sys


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


at_fork: list[int] = []
os.register_at_fork(before=lambda: at_fork.append(threads()))  # called after coshelf's own

from talking import hear, path, reap, say

import coshelf
from coshelf.engines import periodic
from coshelf.engines.lmdb import registry
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
        assert at_fork == [1]
        assert service_threads("coshelf-claims")
        say("computing")
        hear()
        return number

    say("returned", slow(1))
