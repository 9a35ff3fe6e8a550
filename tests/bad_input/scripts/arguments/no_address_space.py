import resource
import sys

import coshelf
import coshelf.engines.lmdb

used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (40 << 20),) * 2)
try:
    coshelf.open(sys.argv[1])
except coshelf.StorageError as error:
    assert sys.argv[1] in str(error), error
else:
    raise AssertionError("opened")
