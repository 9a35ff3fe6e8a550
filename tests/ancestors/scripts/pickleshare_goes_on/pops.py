import importlib
import random
import sys

db, chance = importlib.import_module(sys.argv[1]).PickleShareDB(sys.argv[2]), random.Random(sys.argv[3])
for line in sys.stdin:
    for _ in range(int(line)):
        key = f"k{chance.randrange(6)}"
        try:
            if chance.randrange(3):
                db[key] = list(range(chance.randrange(2000)))
            else:
                db.pop(key, None)
        except Exception:  # the old one fails at times
            if sys.argv[1] != "pickleshare":
                raise
    print("done", flush=True)
