import os
import signal
import sqlite3
import sys

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("UPDATE unnamed SET value = zeroblob(1000)")
os.kill(os.getpid(), signal.SIGKILL)
