import os
import sys
import warnings

from talking import in_library, path, reap

import coshelf.engines.lmdb.engine
from coshelf.errors import CoshelfError

# A fork in the middle of a call cannot wait for a flush that waits for that call.
warnings.simplefilter("ignore", DeprecationWarning)
step, forked = 0, True
while forked:
    step, count, forked, where = step + int(sys.argv[-1]), 0, None, None
    reading, writing = os.pipe()

    def profile(frame, event, argument):
        global count, forked, where
        if event == "c_return" and in_library(frame):
            count += 1
            if count == step:
                sys.setprofile(None)
                where = (frame.f_code.co_filename, frame.f_lineno, str(argument))
                forked = os.fork()
                if forked == 0:
                    os.close(writing)
                    os.read(reading, 1)
                    os._exit(0)

    sys.setprofile(profile)
    try:
        for turn in range(2):
            with coshelf.open(path, timeout=60) as shelf:  # made, and opened again
                shelf["a"] = turn
        sys.setprofile(None)
        with coshelf.open(path, timeout=60) as shelf:
            assert dict(shelf) == {"a": 1}
    except CoshelfError as error:
        raise AssertionError(where) from error
    assert os.listdir(os.path.dirname(path)) == ["a.shelf"], where
    os.close(writing)
    os.close(reading)
    if forked:
        assert reap(forked) == 0
    os.unlink(path)
assert step > 100
