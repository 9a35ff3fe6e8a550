from insides import arm
from talking import path, say

import coshelf

shelf = coshelf.open(path, durability="commit")
shelf["slow"] = 0
arm("flush-copied")
shelf["slow"] = 1
say("durable")
