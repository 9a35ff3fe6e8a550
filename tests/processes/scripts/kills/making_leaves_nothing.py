import os

from scripts.kills.stepwise import stepwise
from talking import path

import coshelf.engines.lmdb.engine

directory = os.path.dirname(path)
os.unlink(path + ".log")


def prepare():
    for name in os.listdir(directory):
        os.unlink(os.path.join(directory, name))


def work():
    coshelf.open(path, timeout=30).close()


def check(step):
    coshelf.open(path, timeout=30).close()
    assert os.listdir(directory) == ["a.shelf"], (step, os.listdir(directory))


stepwise(prepare, work, check)
