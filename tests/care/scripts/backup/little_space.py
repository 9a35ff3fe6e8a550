import resource
import sys

import coshelf

resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
with coshelf.open(sys.argv[1]) as shelf:
    shelf["a"] = 1
    shelf.backup(sys.argv[1] + ".copy")
coshelf.salvage(sys.argv[1], sys.argv[1] + ".salvaged")
