import shutil
import sys

from insides import arm, flush_all
from talking import path

import coshelf

shelf = coshelf.open(path, flush_interval=1000)
shelf.update(a=1, gone=1)
flush_all(shelf)
shutil.copyfile(path, path + ".copy")
del shelf["gone"]
shelf["b"] = 2
arm(sys.argv[2])
shelf.sync()
