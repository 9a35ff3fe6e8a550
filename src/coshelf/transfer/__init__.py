"""Importing entries of other stores into a shelf, exporting them for other programs, and copying shelves.

The commands ``coshelf import``, ``coshelf export`` and ``coshelf copy`` are these functions. Values are moved as
pickles. They are unpickled only if you ask for it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coshelf.transfer.copying import copy_entries
    from coshelf.transfer.exporting import export_entries
    from coshelf.transfer.importing import import_entries
    from coshelf.transfer.report import Left, TransferReport
    from coshelf.transfer.source import SourceError

__all__ = ["Left", "SourceError", "TransferReport", "copy_entries", "export_entries", "import_entries"]

_MODULES = {
    "Left": "report",
    "SourceError": "source",
    "TransferReport": "report",
    "copy_entries": "copying",
    "export_entries": "exporting",
    "import_entries": "importing",
}


def __getattr__(name: str) -> Any:
    # Imported on demand: the command line needs one or two modules of this package for a get. To import the modules of
    # all sources would make it take half as long again.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
