import os
import shutil
import sys

from scripts.truncated.values import make, path, value

import coshelf


def attempt(doing, length):
    make(path)
    shelf = coshelf.open(path)
    snapshot = shelf.snapshot()
    walk = iter(shelf.items())
    assert next(walk) == (0, value(0))
    cursor = shelf.cursor()
    cursor.seek(100)
    os.truncate(path, int(length))

    def transaction():
        with shelf.transaction() as t:
            t[1] = 1

    def edit():
        with shelf.edit(7) as found:
            found.append(1)

    actions = {
        "get": lambda: shelf[500],
        "contains": lambda: 500 in shelf,
        "get_many": lambda: shelf.get_many([1, 500]),
        "len": lambda: len(shelf),
        "count": lambda: len(shelf.keys(start=5, stop=400)),
        "copy": shelf.copy,
        "keys": lambda: list(shelf),
        "reversed": lambda: list(reversed(shelf)),
        "scan under way": lambda: list(walk),
        "cursor": cursor.next,
        "take a snapshot": shelf.snapshot,
        "snapshot get": lambda: snapshot[500],
        "snapshot scan": lambda: list(snapshot.items()),
        "snapshot len": lambda: len(snapshot),
        "set": lambda: shelf.__setitem__(1, 1),
        "delete": lambda: shelf.__delitem__(1),
        "update": lambda: shelf.update(a=1),
        "pop": lambda: shelf.pop(1),
        "clear": shelf.clear,
        "transaction": transaction,
        "edit": edit,
    }
    print(doing, length, flush=True)
    try:
        actions[doing]()
        if doing in ("set", "update", "transaction"):
            shelf.sync()  # the delta takes these without a look at the file
    except coshelf.DamagedShelf as error:
        assert path in str(error) and "truncated" in str(error), error
    else:
        raise AssertionError("no error")
    assert os.path.getsize(path) == int(length)
    snapshot.close()
    try:
        shelf.close()
    except coshelf.DamagedShelf as error:
        assert doing in ("set", "update", "transaction") and "truncated" in str(error), error
        shutil.rmtree(os.path.join(os.path.dirname(path), ".cut.shelf.coshelf"))  # what could not be flushed is kept
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
    os.remove(path)


for length in (0, 8192):
    for doing in sys.argv[2:]:
        attempt(doing, length)
