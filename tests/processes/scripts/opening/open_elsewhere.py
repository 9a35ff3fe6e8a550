from talking import hear, path, say

import coshelf

shelf = coshelf.open(path)
shelf["a"] = 1
say("open")
hear()
shelf["a"] += 1
shelf.close()
