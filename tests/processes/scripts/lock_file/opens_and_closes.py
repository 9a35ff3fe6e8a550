from talking import hear, path, say

import coshelf

shelf = coshelf.open(path)
say("open")
hear()
shelf.close()
