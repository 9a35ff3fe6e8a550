import sys

import coshelf
import coshelf.engines.lmdb

print("ready", flush=True)
sys.stdin.readline()
coshelf.open(sys.argv[1]).close()
