import pickle
import sys

import talking  # noqa: F401 (it has an alarm)
from arrays import is_whole, signed

shelf = pickle.loads(bytes.fromhex(sys.argv[2]))
assert is_whole(shelf["a"])
shelf["b"] = signed(2)
shelf.close()
