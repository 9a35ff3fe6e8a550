"""Read damaged copies of an LMDB file: ``python damaged_bases.py PATH KEYS SEED COUNT``. It must not die of it."""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile

PAGE = 4096
_NUMBERS = (0, 1, 2, 15, 16, 17, 255, 4095, 4096, 65535)


def damage(data: bytearray, chance: random.Random) -> None:
    """Change some bytes or words of some pages; those that lead to others more often than not."""
    for _ in range(chance.randrange(1, 12)):
        page = chance.randrange(len(data) // PAGE) if chance.random() < 0.7 else chance.randrange(2)
        at = page * PAGE + (chance.randrange(0, 160) if chance.random() < 0.6 else chance.randrange(PAGE - 8))
        if chance.random() < 0.5:
            data[at] = chance.randrange(256)
        else:
            width = chance.choice((2, 4, 8))
            number = chance.choice((*_NUMBERS, chance.getrandbits(8 * width)))
            data[at : at + width] = number.to_bytes(8, "little")[:width]


def main() -> None:
    from coshelf._native import BaseReader  # here, since this file is looked through where there is none

    path, keys, seed, count = sys.argv[1], *map(int, sys.argv[2:])
    with open(path, "rb") as file:
        whole = file.read()
    tried = 0
    with tempfile.TemporaryDirectory() as directory:
        copy = os.path.join(directory, "copy")
        lock = os.path.join(directory, "lock")
        shutil.copyfile(f"{path}-lock", lock)
        for number in range(count):
            chance = random.Random(f"{seed} {number}")
            data = bytearray(whole)
            damage(data, chance)
            if chance.random() < 0.1:
                del data[chance.randrange(len(data)) :]
            with open(copy, "wb") as file:
                file.write(data)
            with open(copy, "rb") as file, open(lock, "rb") as locked:
                try:
                    reader = BaseReader(file.fileno(), file.fileno(), locked.fileno())
                except (ValueError, OSError):
                    tried += 1
                    continue
                for _ in range(300):
                    reader.get(b"k%06d" % chance.randrange(keys))
                for key in (b"large", b"larger", b"", b"\xff"):
                    reader.get(key)
                reader.close()
                tried += 1
    print(f"{tried} files")


if __name__ == "__main__":
    main()
