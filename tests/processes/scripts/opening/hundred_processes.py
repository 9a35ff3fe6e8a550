import os

from talking import path, reap

import coshelf.engines.lmdb.engine

waiting, gate = os.pipe()
children = {}
for number in range(100):
    pid = os.fork()
    if pid == 0:
        os.close(gate)
        os.read(waiting, 1)  # until all are there and the gate is closed
        with coshelf.open(path) as shelf:
            shelf[number] = os.getpid()
        os._exit(0)
    children[number] = pid
os.close(gate)
for pid in children.values():
    assert reap(pid) == 0
assert os.listdir(os.path.dirname(path)) == ["a.shelf"]
assert os.stat(path).st_mode & 0o777 == 0o600
with coshelf.open(path) as shelf:
    assert dict(shelf) == children
