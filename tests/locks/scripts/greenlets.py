"""Two greenlets of one thread are two owners."""

import sys

if sys.argv[2] == "patched":
    import gevent.monkey

    gevent.monkey.patch_all()

import gevent
from talking import path, say

import coshelf

shelf = coshelf.open(path)


def attempt():
    lock = shelf.lock("door")
    if not lock.acquire(blocking=False):
        return False
    lock.release()
    return True


def take():
    assert shelf.lock("door").acquire()


with shelf.lock("door"):
    assert gevent.spawn(attempt).get() is False
    say("another greenlet is kept out")

kept = gevent.spawn(take)
kept.join()
while shelf.lock("door").locked():
    gevent.sleep(0.001)
say("free after its end")


def stay():
    take()
    gevent.sleep(3600)


greenlet = gevent.spawn(stay)
while not shelf.lock("door").locked():
    gevent.sleep(0.001)
greenlet.kill()
while shelf.lock("door").locked():
    gevent.sleep(0.001)

say("free after its kill")


def wait():
    with shelf.lock("door", timeout=60):
        return True


if sys.argv[2] == "patched":
    with shelf.lock("door"):
        waiter = gevent.spawn(wait)
        gevent.sleep(0.01)  # the waiter waits; if it kept the thread, this would not return
    assert waiter.get() is True
say("a waiter lets others run")
