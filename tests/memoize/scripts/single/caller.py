"""Calls a memoized function in threads. It says when it computes, and computes what it is told."""

import sys
import threading

from talking import hear, path, say

import coshelf

with coshelf.open(path) as shelf:

    @shelf.memoize(when=lambda result: result != "unwanted")
    def slow(number):
        say("computing", number)
        told = hear()
        if told == "fail":
            raise ValueError(told)
        return told or None

    ends = []

    def call():
        try:
            ends.append(f"returned {slow(1)}")
        except ValueError as error:
            ends.append(f"raised {error}")

    threads = [threading.Thread(target=call) for _ in range(int(sys.argv[2]))]
    say("calling")
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for end in ends:
        say(end)
