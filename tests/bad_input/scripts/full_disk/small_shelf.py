import os

from scripts.full_disk.filling import leave, path

import coshelf

with coshelf.open(path) as shelf:
    shelf.update(a=1, b=2)
size = os.stat(path).st_size
leave(0)
try:
    coshelf.open(path, "w")
except coshelf.StorageFull as error:
    assert path in str(error) and "flag 'r'" in str(error), error
else:
    raise AssertionError("found room")
assert os.stat(path).st_size == size < 65536
