import sys

import lmdb

opened = lmdb.open(sys.argv[1], subdir=False, map_size=1 << 20, lib_version=0)
with opened.begin(write=True) as transaction:
    transaction.put(b"key", b"value")
print("open", flush=True)
sys.stdin.readline()
with opened.begin(write=True) as transaction:
    transaction.put(b"key", b"later")
print("wrote", flush=True)
