import atexit
import weakref

from talking import path

import coshelf

atexit.unregister(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
atexit.register(lambda: shelf["list"].append("late"))
atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
shelf = coshelf.open(path, writeback=True)
shelf["list"] = []
shelf["list"].append("early")
