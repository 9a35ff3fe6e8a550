import os

from talking import path, reap

import coshelf

shelf = coshelf.open(path, timeout=30)
shelf["a"] = 1
reading, writing = os.pipe()
pid = os.fork()
if pid == 0:
    os.close(writing)
    os.read(reading, 1)
    assert shelf["a"] == 2
    shelf.close()
    os._exit(0)
shelf.close()
assert os.listdir(os.path.dirname(path)) == ["a.shelf"]
for _ in range(3):
    with coshelf.open(path, timeout=30) as again:
        again["a"] = 2
    assert os.listdir(os.path.dirname(path)) == ["a.shelf"]
os.write(writing, b"x")
assert reap(pid) == 0
assert os.listdir(os.path.dirname(path)) == ["a.shelf"]
