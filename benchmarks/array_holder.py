"""A process that holds an array: ``array_holder.py STORE DIRECTORY NAME``. Each line of input starts its next step."""

from __future__ import annotations

import sys

from array_stores import made

__all__ = ["main"]


def main() -> None:
    name, directory, key = sys.argv[1:]
    store = made(name, directory)
    print("open", flush=True)
    sys.stdin.readline()
    array = store.read(key)
    print(float(array.sum()), flush=True)
    sys.stdin.readline()
    del array
    store.close()


if __name__ == "__main__":
    main()
