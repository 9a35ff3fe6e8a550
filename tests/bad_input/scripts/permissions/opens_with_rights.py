import sys

import coshelf

path, flag, expected = sys.argv[1:4]
try:
    coshelf.open(path, flag).close()
except coshelf.CoshelfError as error:
    assert type(error).__name__ == expected, repr(error)
    for word in sys.argv[4:]:
        assert word in str(error), str(error)
    assert isinstance(error, PermissionError)
else:
    raise AssertionError("opened")
