import sys

from talking import in_library, path

import coshelf
from coshelf.errors import CoshelfError


class Entered(Exception):
    def __init__(self):
        sys.setprofile(None)


def is_in_finalizer(frame):
    """An interrupt there is printed and forgotten by Python."""
    return frame is not None and (frame.f_code.co_name == "__del__" or is_in_finalizer(frame.f_back))


def profile(frame, event, argument):
    global count, interrupted, where
    if event in ("call", "c_return") and in_library(frame) and not is_in_finalizer(frame):
        count += 1
        if count == step:
            sys.setprofile(None)
            interrupted, where = True, (frame.f_code.co_filename, frame.f_lineno, event, str(argument))
            raise KeyboardInterrupt


shelf = coshelf.open(path, timeout=60)  # its own flush may hold a lock for a moment
code = compile(sys.argv[2], "work", "exec")
step, interrupted = 0, True
while interrupted:
    shelf["k"] = 0
    step, count, interrupted, where = step + 1, 0, False, None
    sys.setprofile(profile)
    try:
        exec(code, {"shelf": shelf, "Entered": Entered})
    except (KeyboardInterrupt, Entered):
        pass
    finally:
        sys.setprofile(None)
    try:
        shelf["after"] = step
        with shelf.transaction() as t:
            t["more"] = step
    except CoshelfError as error:
        raise AssertionError(where) from error
assert step > 2  # a value of plain data is stored by one call of C
