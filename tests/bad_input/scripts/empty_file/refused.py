import sys

import coshelf

try:
    coshelf.open(sys.argv[1], "n")
except coshelf.NotAShelf:
    print("refused")
