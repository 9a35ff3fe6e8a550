import os
import sqlite3
import sys

path, suffix = sys.argv[1], sys.argv[2]
copy = path + ".mine"
with open(path, "rb") as source, open(copy, "wb") as target:
    target.write(source.read())
connection = sqlite3.connect(copy, isolation_level=None)
connection.execute("PRAGMA journal_mode = " + ("WAL" if suffix == "-wal" else "DELETE"))
connection.execute("BEGIN IMMEDIATE")
connection.execute("INSERT INTO entries VALUES (x'05', x'05')")
if suffix == "-wal":
    connection.execute("COMMIT")
else:
    connection.execute("PRAGMA cache_spill = 1")
with open(copy + suffix, "rb") as source, open(path + suffix, "wb") as target:
    target.write(source.read())
os.chmod(path + suffix, int(sys.argv[3], 8))
connection.close()
