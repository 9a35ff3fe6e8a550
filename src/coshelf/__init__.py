"""coshelf: a dict on disk that every process shares."""

from typing import TYPE_CHECKING, Any

from coshelf import errors
from coshelf.contract import Capabilities
from coshelf.errors import *  # noqa: F403 (the error tree is public as a whole)
from coshelf.inspection.files import check, salvage
from coshelf.mapping.reading import Cursor
from coshelf.mapping.record import Record
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.snapshot import Snapshot
from coshelf.mapping.transaction import Transaction
from coshelf.opening import open

if TYPE_CHECKING:
    from coshelf import dbm as dbm
    from coshelf import engines as engines
    from coshelf import ipython as ipython
    from coshelf import pickleshare as pickleshare
    from coshelf import shelve as shelve
    from coshelf import testing as testing
    from coshelf import transfer as transfer
    from coshelf import trust as trust
    from coshelf.values.compression import Zstd

__version__ = "0.1.0"

__all__ = ["Capabilities", "Cursor", "Record", "Shelf", "Snapshot", "Transaction", "Zstd", "check", "open", "salvage"]
__all__ += errors.__all__

# Imported at the first use, so that `import coshelf` stays fast.
_MODULES = frozenset({"dbm", "engines", "ipython", "pickleshare", "shelve", "testing", "transfer", "trust"})


def __getattr__(name: str) -> Any:
    if name == "Zstd":
        from coshelf.values.compression import Zstd

        return Zstd
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module(f"{__name__}.{name}")
