"""Opening a shelf that exists.

``opening.py CONTENDER DIRECTORY`` opens a coshelf, whatever the contender. It prints the seconds that opening takes,
the seconds that the import takes, and the number of keys.
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    directory = sys.argv[2]
    begun = time.perf_counter()
    import coshelf

    imported = time.perf_counter() - begun
    took, count = [], 0
    for _ in range(9):
        begun = time.perf_counter()
        shelf = coshelf.open(directory + "/a.shelf")
        took.append(time.perf_counter() - begun)
        count = len(shelf)
        shelf.close()
    print(json.dumps({"open": sorted(took)[4], "import": imported, "keys": count}))


if __name__ == "__main__":
    main()
