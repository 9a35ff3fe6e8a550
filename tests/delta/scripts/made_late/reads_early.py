from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, "r")
say(sorted(shelf)[:3])
hear()
say(sorted(shelf)[:3], shelf.get("new"), shelf.get("old"))
