import os

from insides import current_delta, environment_of
from talking import path, reap

import coshelf
from coshelf.engines.lmdb.delta.committer import Committer

shelf = coshelf.open(path, flush_interval=1000)
shelf["a"] = 1
children = []
for used in (False, True):
    to_child, from_child = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        if used:
            assert shelf["a"] == 1
        os.write(from_child[1], b"x")
        os.read(to_child[0], 1)
        assert shelf["a"] == 2
        shelf["child", used] = current_delta(shelf).identity.generation
        os._exit(0)
    os.read(from_child[0], 1)
    children.append((pid, to_child))
environment = environment_of(shelf)
with environment.exclusive.hold(60):
    Committer(environment).replace_delta()
shelf["a"] = 2
for pid, to_child in children:
    os.write(to_child[1], b"x")
    assert reap(pid) == 0
assert dict(shelf) == {"a": 2, ("child", False): 1, ("child", True): 1}
shelf.close()
