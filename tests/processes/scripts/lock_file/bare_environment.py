import lmdb
from talking import hear, path, say

environment = lmdb.open(path, subdir=False, map_size=1 << 26, max_dbs=0)
say("open")
hear()
say(environment.reader_check(), environment.readers().count("\n"))
with environment.begin(write=True) as transaction:
    transaction.put(b"second", b"")
