import sys

import coshelf

try:
    with coshelf.open(sys.argv[1], sys.argv[2], timeout=1) as shelf:
        assert dict(shelf) == {"k": 1}
except coshelf.CoshelfError as error:
    print(type(error).__name__)
