import os

from scripts.full_disk.filling import folder, leave, path

import coshelf

for pages in range(3):
    leave(pages)
    try:
        coshelf.open(path)
    except coshelf.StorageFull as error:
        assert path in str(error), error
    else:
        raise AssertionError("made")
    assert os.listdir(folder) == ["ballast"], os.listdir(folder)
