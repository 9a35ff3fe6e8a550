import os
import pwd
import sys
import warnings

import coshelf

try:
    pwd.getpwuid(os.getuid())
except KeyError:
    pass
else:
    sys.exit("somebody has this uid")
os.environ.pop("HOME", None)
os.environ.pop("XDG_STATE_HOME", None)


class Mine:
    pass


with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    opened = coshelf.open(sys.argv[1])
(warning,) = told
assert "COSHELF_SECRET_FILE" in str(warning.message) and warning.filename == sys.argv[0], warning
with opened as shelf:
    shelf["a"] = 1
    try:
        shelf["b"] = Mine()
    except coshelf.UnwritableValue as error:
        assert "would not be read again" in str(error)
    else:
        sys.exit("took what it does not give back")
    assert dict(shelf) == {"a": 1}
with coshelf.open(sys.argv[1], trust=True) as shelf:  # and says nothing
    shelf["b"] = Mine()
    shelf["b"]
    del shelf["b"]
coshelf.open(sys.argv[1], "r").close()
