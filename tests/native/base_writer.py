"""Write an LMDB file, again and again: ``python base_writer.py PATH KEYS SECONDS``. No commit is durable."""

from __future__ import annotations

import random
import sys
import time

import lmdb


def main() -> None:
    path, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    chance, commit = random.Random(path), 0
    with lmdb.open(path, subdir=False, map_size=1 << 28, sync=False) as environment:
        end = None
        while end is None or time.monotonic() < end:
            commit += 1
            with environment.begin(write=True) as transaction:
                for _ in range(chance.randrange(1, 20)):
                    key = b"k%06d" % chance.randrange(count)
                    if chance.random() < 0.1:
                        transaction.delete(key)
                    else:
                        filling = key * chance.choice((1, 5, 300, 1200))
                        transaction.put(key, b"%s %d %s" % (key, commit, filling))
            if end is None:
                end = time.monotonic() + seconds
                print("began", flush=True)


if __name__ == "__main__":
    main()
