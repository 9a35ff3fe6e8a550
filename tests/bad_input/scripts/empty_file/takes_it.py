import sys

import coshelf

shelf = coshelf.open(sys.argv[1], "n")
sys.stdin.readline()
shelf[sys.argv[2]] = 1
shelf.close()
