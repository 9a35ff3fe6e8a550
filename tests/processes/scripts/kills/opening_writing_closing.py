import os

from scripts.kills.stepwise import stepwise
from talking import path, say

import coshelf.engines.lmdb.engine

coshelf.open(path).close()


def work():
    with coshelf.open(path, timeout=30) as shelf:
        shelf.update(a=1, b=1)
        with shelf.transaction() as t:
            t["a"] += 1
            t["b"] -= 1
        with shelf.snapshot() as snapshot:
            assert dict(snapshot)


def check(step):
    with coshelf.open(path, timeout=30) as shelf:
        assert dict(shelf) in ({}, {"a": 1, "b": 1}, {"a": 2, "b": 0}), dict(shelf)
        shelf["turn"] = step
        with shelf.transaction(timeout=30) as t:
            t.clear()
        assert len(shelf) == 0
    assert sorted(os.listdir(os.path.dirname(path))) == ["a.shelf", "a.shelf.log"], step


say(stepwise(lambda: None, work, check))
