import sys

import coshelf

try:
    with coshelf.open(sys.argv[1]) as shelf:
        dict(shelf)
except coshelf.DamagedShelf as error:
    assert "is damaged" in str(error), error
    sys.exit(3)
