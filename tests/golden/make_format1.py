"""How format1.lmdb was made. It is never made again: it stands for the files that users have."""

from __future__ import annotations

import shutil
import sys

import coshelf

ENTRIES = {
    "hello": 15,
    "paths/are/ok/key": [1, (5, 46)],
    b"bytes\x00key": b"bytes\xffvalue",
    -7: {"negative": True},
    2.5: 2.5,
    None: None,
    ("users", 17, None): {"name": "Zoë", "tags": {1, 2, 3}},
    "long/" + "k" * 600: "a long key",
    "long/" + "k" * 1200 + "/end": "a longer key",
    "lone \udc80 surrogate": "kept",
}

if __name__ == "__main__":
    with coshelf.open("golden-in-the-making", "n", protocol=4) as shelf:
        shelf.update(ENTRIES)
        shelf["old protocol"] = None
        del shelf["old protocol"]
    with coshelf.open("golden-in-the-making", "w", protocol=0) as shelf:
        shelf["protocol 0"] = [1, 2, 3]
    shutil.move("golden-in-the-making", sys.argv[1])
