import os

from scripts.full_disk.filling import ballast, folder, leave, path

import coshelf

for pages in range(80):
    leave(pages)
    print("create with", pages, flush=True)
    try:
        shelf = coshelf.open(path)
    except coshelf.StorageFull as error:
        assert path in str(error), error
        assert os.listdir(folder) in (["ballast"], ["ballast", "my.shelf"], ["my.shelf", "ballast"]), os.listdir(folder)
        if os.path.exists(path):
            os.remove(ballast)
            with coshelf.open(path, "r") as shelf:
                assert dict(shelf) == {}
            os.remove(path)
        continue
    try:
        shelf["a"] = 1
    except coshelf.StorageFull:
        assert dict(shelf) == {}
    else:
        assert dict(shelf) == {"a": 1}
    shelf.close()
    assert set(os.listdir(folder)) == {"ballast", "my.shelf"}
    os.remove(path)
assert pages > 70
