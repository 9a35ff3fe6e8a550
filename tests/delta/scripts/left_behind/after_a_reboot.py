"""Opens a shelf whose processes ended before the kernel that runs now had started."""

import sys

import coshelf
from coshelf.system.processes import boot

path, boot_id, *expected = sys.argv[1:]
boot._BOOT_ID = boot_id
with coshelf.open(path) as shelf:
    assert dict(shelf) == dict.fromkeys(expected, 1), dict(shelf)
