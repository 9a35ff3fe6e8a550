import sys

from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, durability="commit")
say("open")
hear()
shelf["quick", int(sys.argv[2])] = 1
say("durable")
