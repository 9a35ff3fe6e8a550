import resource

from arrays import is_whole, signed
from talking import path

import coshelf

shelf = coshelf.open(path)
shelf["a"] = signed(1)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
views = [shelf["a"] for _ in range(2000)]
assert all(map(is_whole, views[::500]))
