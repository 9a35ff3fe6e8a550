import os

from scripts.full_disk.filling import ballast, folder, path

import coshelf

expected = {}
with coshelf.open(path) as shelf:
    with open(ballast, "wb") as file:
        file.write(bytes(256 * 1024))
    for n in range(10_000):
        try:
            shelf[n] = "x" * 700
        except coshelf.StorageFull as error:
            assert path in str(error) and "no space" in str(error), error
            assert error.errno == 28
            break
        expected[n] = "x" * 700
    else:
        raise AssertionError("never full")
    assert len(expected) > 50
    assert shelf.copy() == expected
    for _attempt in range(3):
        try:
            shelf.update({("many", n): "y" * 5000 for n in range(200)})
        except coshelf.StorageFull:
            pass
        else:
            raise AssertionError("found room")
    try:
        with shelf.transaction() as t:
            t["big"] = "z" * 2_000_000
    except coshelf.StorageFull:
        pass
    try:
        del shelf[0]
    except coshelf.StorageFull:
        pass
    else:
        del expected[0]
    assert shelf.copy() == expected
    with shelf.snapshot() as snapshot:
        assert dict(snapshot) == expected
print("reopen", flush=True)
with coshelf.open(path, "r") as shelf:
    assert shelf.copy() == expected
os.remove(ballast)
with coshelf.open(path) as shelf:
    shelf["later"] = "works"
    shelf.update(dict.fromkeys(range(20), "y"))
    expected = expected | {"later": "works"} | dict.fromkeys(range(20), "y")
    assert shelf.copy() == expected
with coshelf.open(path, "r") as shelf:
    assert shelf.copy() == expected
os.remove(path)
assert os.listdir(folder) == []
