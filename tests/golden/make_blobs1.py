"""How blobs1.lmdb and its folder were made. They are never made again, as format1.lmdb is not."""

from __future__ import annotations

import shutil
import sys
from typing import Any

import coshelf

PATTERN = bytes(range(256)) * 4096
"""A buffer of exactly 1 MiB."""


def values() -> dict[Any, Any]:
    return {
        "one": bytearray(PATTERN),
        ("two", 2): {
            "first": bytearray(PATTERN[::-1]),
            "second": [bytearray(PATTERN + b"more")],
            "small": bytearray(b"x"),
        },
        "shaped" * 100: memoryview(PATTERN).cast("I", (512, 512)),
        "ordinary": [1, 2, 3],
    }


if __name__ == "__main__":
    with coshelf.open("golden-in-the-making", "n") as shelf:
        shelf["dropped"] = bytearray(PATTERN)
        shelf.sync()
        with shelf.snapshot():  # for which its blob was kept, so that the row which says that it may go is there
            del shelf["dropped"]
            shelf.update(values())
            shelf.sync()
    for suffix in ("", ".coshelf-blobs"):
        shutil.move(f"golden-in-the-making{suffix}", f"{sys.argv[1]}{suffix}")
