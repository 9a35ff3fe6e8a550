import dbm.sqlite3
import os
import shelve
import sys

shelf = shelve.Shelf(dbm.sqlite3.open(sys.argv[1], "c"))
shelf["a"] = 1
shelf["b"] = [2]
os.kill(os.getpid(), 9)
