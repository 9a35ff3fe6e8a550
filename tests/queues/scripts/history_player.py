"""Puts and gets at random, and prints when each call began and ended, by the clock of the machine."""

import queue
import random
import sys
import time

from talking import hear, path, say

import coshelf

calls, name = int(sys.argv[2]), sys.argv[3]
chance = random.Random(name)

with coshelf.open(path, flush_interval=0.02) as shelf:
    jobs = shelf.queue("jobs")
    say("ready")
    hear()
    for turn in range(calls):
        item = f"{name}.{turn}"
        if chance.random() < 0.5:
            say("put", item, time.monotonic_ns())
            jobs.put(item)
            say("done", item, time.monotonic_ns())
        else:
            say("get", item, time.monotonic_ns())
            try:
                got = jobs.get_nowait()
                say("done", item, time.monotonic_ns(), got)
            except queue.Empty:
                say("done", item, time.monotonic_ns())
