from scripts.many_shelves.descriptors import descriptors
from talking import path

import coshelf

for again in range(3):
    shelf = coshelf.open(path, flush_interval=1000)
    assert len(descriptors()) <= 5, descriptors()
    shelf["a"] = 1
    shelf["b"] = 2
    assert len(descriptors()) <= 5, descriptors()
    shelf.sync()
    dict(shelf)
    with shelf.transaction() as t:
        t["c"] = 3
    assert len(descriptors()) <= 5, descriptors()
    if again == 2:
        shelf.compact()
        shelf["d"] = 4
        assert len(descriptors()) <= 5, descriptors()
    shelf.close()
    assert descriptors() == []
