import resource

from talking import path, say

import coshelf
from coshelf.errors import StorageError

with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * 4096
shelf = coshelf.open(path)
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20), now + (64 << 20)))
try:
    shelf["a"]
except StorageError as error:
    say(error.errno)
assert shelf["b"] == 2
