import sys

import talking  # noqa: F401 (it has an alarm)
from insides import arm, flush_all
from scripts.kinds.opened import open_shelf

shelf = open_shelf(flush_interval=1000)
shelf["first"] = 1
flush_all(shelf)
shelf["returned"] = 1
arm(sys.argv[3])
shelf["under way"] = 1
shelf.sync()
shelf.update({n: n for n in range(1001)})
