import os

from scripts.kills.stepwise import stepwise
from talking import path

import coshelf.engines.lmdb.engine

shelf = coshelf.open(path, timeout=30)
shelf["mine"] = 0


def work():
    shelf.update(a=1, b=1)
    with coshelf.open(path, timeout=30) as again, again.transaction() as t:
        t["a"] += 1
        t["b"] -= 1
    shelf.close()


def check(step):
    assert shelf.get("a", 0) + shelf.get("b", 0) in (0, 2)
    shelf["mine"] = step
    with shelf.transaction(timeout=30) as t:
        t["mine"] += 1
    assert len(list(shelf.items())) == len(shelf)


stepwise(lambda: None, work, check)
shelf.close()
assert sorted(os.listdir(os.path.dirname(path))) == ["a.shelf", "a.shelf.log"]
