import os
import random
import sys

import coshelf

path = sys.argv[1]
entries = {"a": 1, "target": [1, 2], "z": "last"}
with coshelf.open(path) as shelf:
    shelf.update(entries)
whole = open(path, "rb").read()
chance = random.Random(5)
rubbish = {"zeros": bytes(4096), "ones": b"\xff" * 4096, "noise": chance.randbytes(4096), "text": b"text" * 1024}
for name, page in rubbish.items():
    for pages in ([0], [1], [0, 1]):
        broken = bytearray(whole)
        for number in pages:
            broken[number * 4096 : number * 4096 + 4096] = page
        for flag in "rwcn":
            with open(path, "wb") as file:
                file.write(broken)
            print(name, pages, flag, flush=True)
            try:
                coshelf.open(path, flag)
            except (coshelf.DamagedShelf, coshelf.NotAShelf) as error:
                assert path in str(error), error
            else:
                raise AssertionError("opened")
            assert open(path, "rb").read() == broken
            assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
