import atexit
import weakref

from talking import path

from coshelf import shelve

atexit.unregister(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
atexit.register(lambda: (shelf.update(late=1), shelf["list"].append(2)))
atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
shelf = shelve.open(path, writeback=True)
shelf["list"] = [1]
