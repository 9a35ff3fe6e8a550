import os
import sys

from scripts.kills.stepwise import stepwise
from talking import path, say

import coshelf.engines.lmdb.engine

directory = os.path.dirname(path)
os.unlink(path + ".log")


def prepare():
    if sys.argv[3] == "False":
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))
    elif os.path.exists(path):
        os.unlink(path)  # what lies beside it stays


def work():
    with coshelf.open(path, timeout=30) as shelf:
        shelf["a"] = 1


def check(step):
    with coshelf.open(path, timeout=30) as shelf:
        assert dict(shelf) in ({}, {"a": 1}), step
        shelf["b"] = 2
        assert os.stat(path).st_mode & 0o777 == 0o600
    left = [name for name in os.listdir(directory) if not (name.startswith(".") and name.endswith(".new"))]
    assert left == ["a.shelf"], (step, left)


say(stepwise(prepare, work, check))
