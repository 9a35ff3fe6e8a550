"""Greenlets that write, wait and fork; what gevent patches it patches before the shelf is opened, or after it."""

import sys

if sys.argv[3] == "early":
    from gevent import monkey

    monkey.patch_all()

import os

from talking import path, reap, say

import coshelf

shelf = coshelf.open("memory:" if sys.argv[2] == "memory:" else sys.argv[2] + path, flush_interval=0.01)
if sys.argv[3] == "used":
    shelf["before"] = 1
if sys.argv[3] != "early":
    from gevent import monkey

    monkey.patch_all()

import gevent


def count(number):
    for _ in range(20):
        shelf.modify("count", lambda count: count + 1, default=0)
        shelf[str(number)] = number
        gevent.sleep(0)


gevent.joinall([gevent.spawn(count, number) for number in range(5)], raise_error=True)
shelf.sync()
waiter = gevent.spawn(shelf.wait, "late", 50)  # while it waits the other greenlets run
gevent.spawn_later(0.1, shelf.__setitem__, "late", "here")
waiter.join()
assert waiter.value == "here", waiter.exception
assert shelf["count"] == 100
if sys.argv[2] != "memory:":
    pid = os.fork()
    if not pid:
        shelf["child"] = 1
        shelf.close()
        os._exit(0)
    assert reap(pid) == 0
    assert shelf["child"] == 1
    shelf.close()
say("done")
