import resource
import shutil
import sys

from talking import path

import coshelf

resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

coshelf.open(path).close()
for number in range(1000):
    shutil.copy(path, f"{path}-{number}")  # which is quicker than making them
shelves = [coshelf.open(f"{path}-{number}") for number in range(1000)]
for number in (0, 500, 533, 534, 999):
    shelves[number]["number"] = number
assert [shelves[number]["number"] for number in (0, 534, 999)] == [0, 534, 999]
for shelf in shelves:
    shelf.close()
