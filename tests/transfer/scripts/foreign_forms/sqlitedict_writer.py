import os
import signal
import sys

import sqlitedict

database = sqlitedict.SqliteDict(sys.argv[1], journal_mode=sys.argv[2], autocommit=True)
database["early"] = 1
database.commit()
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    database[f"late{number}"] = number
    database.commit()
print("written", flush=True)
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
