from insides import flush_all, last_number
from talking import path, say

import coshelf

shelf = coshelf.open(path, flush_interval=1000)
shelf["a"] = 1
flush_all(shelf)
say(last_number(shelf) + 1)
shelf.update({n: n for n in range(1001)})
