import sys

import coshelf

for target, flag in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    print(target, flag, flush=True)
    try:
        with coshelf.open(target, flag, timeout=1) as shelf:
            assert dict(shelf) == {"k": 1}
    except coshelf.CoshelfError as error:
        print(type(error).__name__)
