import os
import sys

from scripts.full_disk.filling import ballast, folder, leave, path

import coshelf

flag = sys.argv[2]
with coshelf.open(path) as shelf:
    shelf.update(a=1, b=[2])
for pages in range(12):
    leave(pages)
    print("open with", pages, flush=True)
    try:
        shelf = coshelf.open(path, flag)
    except coshelf.StorageFull as error:
        assert path in str(error), error
    else:
        assert dict(shelf) == {"a": 1, "b": [2]}
        with shelf.snapshot() as snapshot:
            assert len(snapshot) == 2
        if flag != "r":
            try:
                with shelf.transaction() as t:
                    t["a"] = 1
            except coshelf.StorageFull:
                pass
        shelf.close()
    assert set(os.listdir(folder)) == {"ballast", "my.shelf"}
os.remove(ballast)
with coshelf.open(path, "r") as shelf:
    assert dict(shelf) == {"a": 1, "b": [2]}
