"""Calls a memoized function as soon as it is told to. Each computation adds a line to a file."""

import os
import sys

from talking import hear, path, say

import coshelf

with coshelf.open(path) as shelf:

    @shelf.memoize
    def line(number):
        with open(sys.argv[2], "a") as log:
            log.write(f"{number}\n")
        return os.getpid()

    say("ready")
    hear()
    for number in range(20):
        say(line(number))
