import os

from talking import path

import coshelf
from coshelf.engines.lmdb.files import creation

os.umask(0)
make = creation.tempfile.mkstemp  # type: ignore[attr-defined]
swept = []


def make_and_be_swept(suffix=None, prefix=None, dir=None):
    made = make(suffix, prefix, dir)
    if suffix == ".new" and len(swept) < 3:
        swept.append(made[1])
        creation.sweep(path)  # by another process, before there is a lock on it
    return made


creation.tempfile.mkstemp = make_and_be_swept  # type: ignore[attr-defined]
with coshelf.open(path, timeout=30) as shelf:
    shelf["a"] = 1
assert len(swept) == 3
assert os.stat(path).st_mode & 0o777 == 0o600, oct(os.stat(path).st_mode)
assert os.listdir(os.path.dirname(path)) == ["a.shelf"]
