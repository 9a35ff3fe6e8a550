import sys

from insides import arm
from talking import path

import coshelf

arm(sys.argv[2])
coshelf.open(path).update({n: n for n in range(1001)})
