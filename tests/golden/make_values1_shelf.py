"""How values1.lmdb was made: a shelf that remembers. It is never made again, as format1.lmdb is not."""

from __future__ import annotations

import shutil
import sys

import coshelf

SECRET = bytes(range(32))

if __name__ == "__main__":
    options = {"codec": "json", "compress": "zstd", "encrypt": SECRET}
    with coshelf.open("golden-in-the-making", "n") as shelf:
        shelf["pickle"] = {"tags": ("x", 1)}
    with coshelf.open("golden-in-the-making", recode=True, **options) as shelf:  # type: ignore[arg-type]
        shelf["json"] = {"tags": ["x", 1]}
        shelf.update({n: {"name": f"user {n}", "email": f"user{n}@example.com", "roles": []} for n in range(100)})
        shelf.train_dictionary(size=512)
        shelf.update({n: {"name": f"user {n}", "email": f"user{n}@example.com", "roles": []} for n in range(50)})
    shutil.move("golden-in-the-making", sys.argv[1])
