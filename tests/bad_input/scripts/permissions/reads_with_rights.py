import sys

import coshelf

with coshelf.open(sys.argv[1], "r") as shelf:
    assert dict(shelf) == {n: [n, "x" * n] for n in range(50)}
    assert len(shelf) == 50 and shelf[7] == [7, "xxxxxxx"] and shelf.get_many([1, 99]) == {1: [1, "x"]}
    with shelf.snapshot() as snapshot:
        assert list(snapshot) == list(range(50))
    try:
        shelf[1] = 1
    except coshelf.ReadOnlyShelf as error:
        assert sys.argv[1] in str(error)
    else:
        raise AssertionError("written")
