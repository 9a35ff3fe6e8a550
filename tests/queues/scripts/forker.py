"""Forks inside the block of an item: the end of the child does not end the item, and the child takes its own."""

import os

from talking import path, reap, say

import coshelf

with coshelf.open(path) as shelf:
    jobs = shelf.queue("jobs")
    jobs.put_many("abc")
    with jobs.take() as job:
        child = os.fork()
        if not child:
            with jobs.take() as other:
                assert other == "b"
            try:
                jobs.done()
            except RuntimeError:
                os._exit(7)
            os._exit(1)
        say("child", reap(child))
        rows = jobs.rows.count(shelf.engine_for("test"), "taken")
        say("taken", rows)
    pid = os.fork()
    if not pid:
        with jobs.take():  # the block of the child ends with it
            os._exit(3)
    say("child", reap(pid))
    taking = jobs.take(timeout=60)
    with taking as job:
        say(job, taking.attempt)
say("left", len(coshelf.open(path).queue("jobs")))
