"""A dict on disk that every process shares.

    shelf = coshelf.open("recipes.shelf")       # made if it is missing
    shelf["hello"] = [15]                       # all that pickle takes
    shelf["hello"]                              # a copy of the value
    with shelf.edit("hello") as value:          # changes the value,
        value.append(16)                        # others wait meanwhile
    shelf.incr("count")                         # one atomic step
    with shelf.transaction() as t:              # all or nothing
        t["a"], t["b"] = t.get("b"), t.get("a")
    shelf.set("session", {}, expire=3600)       # gone in an hour
    list(shelf.items(prefix="soups/"))          # in order of the keys
    shelf.wait("hello", timeout=5)              # until it exists
    with shelf.lock("deploy"):                  # one holder among all
        pass
    jobs = shelf.queue("jobs")                  # put, get, take
    shelf.close()                               # or: with ... as shelf

Keys are str, bytes, int, float, bool, None and tuples of these. Each
call that writes is one commit. Any number of processes and threads may
use a shelf at once. A URL opens other engines: sqlite:, postgresql://,
redis://, s3://.

    help(coshelf.open)     what can be opened, and all options
    help(coshelf.Shelf)    every method
    help(coshelf.errors)   every error; all are a coshelf.CoshelfError

coshelf.aio is the same for asyncio and trio. coshelf.shelve, dbm,
pickleshare, diskcache and sqlitedict stand in for the modules of these
names. coshelf.contrib has adapters for frameworks. coshelf.viewer shows
a shelf in a browser. In a shell: coshelf --help.
"""

from typing import TYPE_CHECKING, Any

# Each name is exported by "as". There is no list of names: with one, help() would print the help of every class.
from coshelf import errors as errors
from coshelf.contract import Capabilities as Capabilities
from coshelf.errors import *  # noqa: F403 (the error tree is public as a whole)
from coshelf.inspection.files import check as check
from coshelf.inspection.files import salvage as salvage
from coshelf.mapping.reading import Cursor as Cursor
from coshelf.mapping.record import Record as Record
from coshelf.mapping.shelf import Shelf as Shelf
from coshelf.mapping.snapshot import Snapshot as Snapshot
from coshelf.mapping.transaction import Transaction as Transaction
from coshelf.opening import open as open

if TYPE_CHECKING:
    from coshelf import aio as aio
    from coshelf import contrib as contrib
    from coshelf import dbm as dbm
    from coshelf import diskcache as diskcache
    from coshelf import engines as engines
    from coshelf import ipython as ipython
    from coshelf import pickleshare as pickleshare
    from coshelf import shelve as shelve
    from coshelf import sqlitedict as sqlitedict
    from coshelf import testing as testing
    from coshelf import transfer as transfer
    from coshelf import trust as trust
    from coshelf import viewer as viewer
    from coshelf.mapping.change import Change as Change
    from coshelf.mapping.watch import Watch as Watch
    from coshelf.values.compression import Zstd as Zstd

__version__ = "0.1.0"

# Imported at the first use, so that `import coshelf` stays fast.
_MODULES = frozenset(
    {
        "aio",
        "contrib",
        "dbm",
        "diskcache",
        "engines",
        "ipython",
        "pickleshare",
        "shelve",
        "sqlitedict",
        "testing",
        "transfer",
        "trust",
        "viewer",
    }
)


_CLASSES = {"Change": "mapping.change", "Watch": "mapping.watch", "Zstd": "values.compression"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _CLASSES:
        return getattr(import_module(f"{__name__}.{_CLASSES[name]}"), name)
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
