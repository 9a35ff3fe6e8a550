"""Forks while it computes. The child ends in the way that forked children usually end, and in the other one."""

import os
import sys

from talking import hear, path, reap, say

import coshelf

with coshelf.open(path) as shelf:

    @shelf.memoize
    def slow(number):
        child = os.fork()
        if not child:
            if sys.argv[2] == "exit":
                os._exit(0)
            raise SystemExit(0)
        assert reap(child) == 0
        say("computing")
        hear()
        return number

    say("returned", slow(1))
