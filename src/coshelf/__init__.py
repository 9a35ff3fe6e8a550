"""coshelf: a dict on disk that every process shares."""

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

__version__ = "0.1.0"

__all__ = ["Capabilities", "Cursor", "Shelf", "Snapshot", "Transaction", "Zstd", "check", "open", "salvage"]
__all__ += errors.__all__
