"""coshelf: a dict on disk that every process shares."""

from typing import TYPE_CHECKING, Any

from coshelf import errors
from coshelf.care import check, salvage
from coshelf.codecs.compression import Zstd
from coshelf.cursor import Cursor
from coshelf.engines.contract import Capabilities
from coshelf.errors import *  # noqa: F403 (the error tree is public as a whole)
from coshelf.opening import open
from coshelf.shelf import Shelf
from coshelf.snapshot import Snapshot
from coshelf.transaction import Transaction

if TYPE_CHECKING:
    from coshelf import dbm as dbm
    from coshelf import engines as engines
    from coshelf import ipython as ipython
    from coshelf import pickleshare as pickleshare
    from coshelf import shelve as shelve
    from coshelf import testing as testing
    from coshelf import transfer as transfer
    from coshelf import trusting as trusting

__version__ = "0.1.0"

__all__ = ["Capabilities", "Cursor", "Shelf", "Snapshot", "Transaction", "Zstd", "check", "open", "salvage"]
__all__ += errors.__all__

# Imported when they are asked for: `import coshelf` is for programs that need none of them.
_MODULES = frozenset({"dbm", "engines", "ipython", "pickleshare", "shelve", "testing", "transfer", "trusting"})


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module(f"{__name__}.{name}")
