"""Opens a shelf beside changed copies of a left log: either all is well, or one of our errors says what is wrong."""

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from random import Random

from left_logs import change_log, lay_out, read_back

import coshelf
from coshelf.engines.lmdb.files.sidecar_directory import sidecar_directory

place, count = Path(sys.argv[1]), int(sys.argv[2])
left = read_back(str(place / "a.shelf"))
opened = refused = 0
for seed in range(count):
    chance = Random(seed)
    path = str(place / f"{seed}.shelf")
    lay_out(left, path)
    change_log(path, chance)
    try:
        with coshelf.open(path, chance.choice(("w", "r"))) as shelf:
            for key in list(shelf):
                with suppress(coshelf.CoshelfError, KeyError):
                    shelf[key]
            if shelf.flag == "w":
                shelf["more"] = 1
        opened += 1
    except coshelf.CoshelfError:
        refused += 1
    shutil.rmtree(sidecar_directory(path), ignore_errors=True)
    os.unlink(path)
print(opened, refused)
