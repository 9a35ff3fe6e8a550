"""Puts and takes at random until it is killed or has done its share. Prints each step before and after it."""

import queue
import random
import sys
import time

from talking import path, say

import coshelf

number, share, kind = sys.argv[3], int(sys.argv[2]), sys.argv[4] if len(sys.argv) > 4 else "both"
chance = random.Random(number)


def now() -> int:
    return time.monotonic_ns()


with coshelf.open(path, flush_interval=0.05) as shelf:
    jobs = shelf.queue("jobs", attempts=None)
    for turn in range(share):
        item = f"{number}.{turn}"
        if chance.random() < 0.5:
            say("put", item, now())
            jobs.put(item if chance.random() < 0.7 else item + " " + "x" * 40_000)
            say("put-done", item, now())
            continue
        say("take", item, now())
        try:
            if chance.random() < 0.5:
                got = jobs.get(block=False).split()[0]
                say("got", item, now(), got)
            else:
                with jobs.take(block=False) as job:
                    got = job.split()[0]
                    say("taken", item, now(), got)
                say("take-done", item, now(), got)
        except queue.Empty:
            say("empty", item, now())
say("end")
