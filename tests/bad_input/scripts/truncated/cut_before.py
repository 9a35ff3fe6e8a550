import os

from scripts.truncated.values import make, path, value

import coshelf

make(path)
whole = open(path, "rb").read()
lengths = {0, 1, 15, 16, 40, 151, 152, 4095, 4096, 4097, 8191, 8192, len(whole) - 1}
lengths |= set(range(4096, len(whole), 4096))
opened = 0
for length in sorted(lengths):
    for flag in "rwcn" if length else "rwc":  # an empty file is a fresh start for flag n
        with open(path, "wb") as file:
            file.write(whole[:length])
        print(length, flag, flush=True)
        try:
            shelf = coshelf.open(path, flag)
        except (coshelf.NotAShelf, coshelf.DamagedShelf) as error:
            assert path in str(error) and ("byte" in str(error) or "empty" in str(error)), error
        else:
            raise AssertionError("opened")
        assert open(path, "rb").read() == whole[:length]
        assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
with open(path, "wb") as file:
    file.write(whole)
with coshelf.open(path, "r") as shelf:
    assert dict(shelf) == {n: value(n) for n in range(600)}
