"""Forks while it computes. The child ends in the way that forked children usually end, and in the other one."""

import os
import sys
import threading

at_fork: list[int] = []
os.register_at_fork(before=lambda: at_fork.append(threading.active_count()))  # called after coshelf's own

from talking import hear, path, reap, say

import coshelf

with coshelf.open(path) as shelf:

    @shelf.memoize
    def slow(number):
        before = threading.active_count()
        child = os.fork()
        if not child:
            if sys.argv[2] == "exit":
                os._exit(0)
            raise SystemExit(0)
        assert reap(child) == 0
        assert before > 1
        assert at_fork == [1]
        assert any(thread.name == "coshelf-claims" for thread in threading.enumerate())
        say("computing")
        hear()
        return number

    say("returned", slow(1))
