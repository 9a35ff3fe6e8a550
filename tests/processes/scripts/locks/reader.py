from talking import path

import coshelf

with coshelf.open(path) as shelf:
    for turn in range(500):
        assert shelf[turn % 100] == turn % 100
        assert "half" not in shelf
        assert len(shelf) == 100
    with shelf.snapshot() as snapshot:
        assert len(list(snapshot.items())) == 100
    assert shelf.get_many([1, 2, "half"]) == {1: 1, 2: 2}
