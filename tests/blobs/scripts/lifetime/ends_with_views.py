import builtins
import os
import sys

from arrays import LARGE, is_whole, signed
from talking import path

import coshelf

shelf = coshelf.open(path)
shelf["a"] = [signed(1), memoryview(signed(2)), bytearray(LARGE)]
builtins.kept = shelf["a"]  # type: ignore[attr-defined]


class Last:
    views = shelf["a"]

    def __del__(self):
        assert is_whole(self.views[0])


last = builtins.last = Last()  # type: ignore[attr-defined]
shelf.sync()
match sys.argv[2]:
    case "sys.exit":
        sys.exit()
    case "SystemExit":
        raise SystemExit
    case "os._exit":
        os._exit(0)
    case "close":
        shelf.close()
    case "end of script":
        pass
