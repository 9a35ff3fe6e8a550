import os
import signal
import threading
import warnings

from talking import path, reap

import coshelf

warnings.simplefilter("ignore", DeprecationWarning)  # the threads are this script's own
shelf = coshelf.open(path)
shelf.update(a=0, b=0)
stop = threading.Event()
failures = []


def write():
    while not stop.is_set():
        with shelf.transaction() as t:
            t["a"] += 1
            t["b"] -= 1
        shelf["time"] = 1


def read():
    while not stop.is_set():
        with shelf.snapshot() as snapshot:
            assert snapshot["a"] + snapshot["b"] == 0
        sum(shelf.get_many(["a", "b"]).values())


def run(function):
    try:
        function()
    except BaseException as error:
        failures.append(error)


threads = [threading.Thread(target=run, args=(function,)) for function in (write, write, read)]
for thread in threads:
    thread.start()
for turn in range(60):
    pid = os.fork()
    if pid == 0:
        signal.alarm(300)
        found = shelf.get_many(["a", "b"])
        assert sum(found.values()) == 0
        shelf["child", turn] = turn
        with shelf.transaction() as t:
            t["a"] += 1
            t["b"] -= 1
        os._exit(0)
    assert reap(pid) == 0
stop.set()
for thread in threads:
    thread.join()
assert not failures, failures
assert sum(1 for key in shelf.keys(prefix=("child",))) == 60
assert shelf["a"] + shelf["b"] == 0
shelf.close()
