from insides import flush_all
from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, flush_interval=1000)
shelf.update(base=1, gone=1)
flush_all(shelf)
shelf["a"] = 1
shelf["x" * 700] = 2
del shelf["gone"]
for batch in range(3):
    shelf.update({("many", batch * 1000 + n): batch * 1000 + n for n in range(1000)})
say("waiting")
hear()
shelf.close()
