import os

from scripts.full_disk.filling import ballast, folder, leave, path

import coshelf

expected: dict[object, object] = dict.fromkeys(range(2000), "x" * 1000)
with coshelf.open(path) as shelf:
    shelf.update(expected)
for turn in range(4):
    leave(0)
    print("open", turn, flush=True)
    with coshelf.open(path, "w") as shelf:
        assert dict(shelf) == expected
        held = []
        try:  # the lock file is smaller, and has no place that is not taken
            held.extend(shelf.snapshot() for _ in range(300))
        except coshelf.StorageError as error:
            assert len(held) > 100, error
        for snapshot in held:
            assert snapshot[1999] == "x" * 1000
            snapshot.close()
        for n in range(turn * 200, turn * 200 + 200):
            del shelf[n], expected[n]
        shelf.update({("new", turn, n): b"y" * 1000 for n in range(20)})  # in the place of what was deleted
        expected |= {("new", turn, n): b"y" * 1000 for n in range(20)}
        assert dict(shelf) == expected
        try:
            shelf["huge"] = b"z" * 3_000_000
        except coshelf.StorageFull as error:
            assert path in str(error) and "no space" in str(error), error
        else:
            raise AssertionError("found room")
        assert dict(shelf) == expected
    assert {"ballast", "my.shelf"} <= set(os.listdir(folder)) <= {"ballast", "my.shelf", "lost+found"}
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == expected
leave(0)
with coshelf.open(path) as shelf:
    shelf.clear()
    shelf["kept"] = 1
    shelf["more"] = 2  # what a commit frees can be used two commits later
    shelf["large"] = b"z" * 200_000
    assert len(shelf) == 3
os.remove(ballast)
with coshelf.open(path) as shelf:
    assert len(shelf) == 3 and shelf["large"] == b"z" * 200_000
    shelf.update(expected)
    shelf.compact()
with coshelf.open(path, "r") as shelf:
    assert dict(shelf) == expected | {"kept": 1, "more": 2, "large": b"z" * 200_000}
