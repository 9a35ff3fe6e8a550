"""A thread that waits for a lock is interrupted."""

import threading

from talking import path, say

import coshelf

shelf = coshelf.open(path)
lock = shelf.lock("door")
taken, over = threading.Event(), threading.Event()


def hold():
    with shelf.lock("door"):
        taken.set()
        over.wait()


holder = threading.Thread(target=hold)
holder.start()
taken.wait()


def tell():
    while not lock.waiting():
        pass
    say("waits")


teller = threading.Thread(target=tell)
teller.start()
try:
    with lock:
        raise AssertionError
except KeyboardInterrupt:
    say("interrupted")
teller.join()
assert lock.waiting() == ()
over.set()
holder.join()
assert not lock.locked()
say("nobody waits")
