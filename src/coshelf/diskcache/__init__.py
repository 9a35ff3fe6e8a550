"""A cache on disk with the names of the package ``diskcache``, on a shelf instead of SQLite.

Change ``import diskcache`` to ``from coshelf import diskcache``. docs/coming-from-diskcache.md tells what is different.

>>> from coshelf import diskcache
>>> with diskcache.Cache() as cache:
...     cache["key"] = "value"
...     cache["key"]
'value'
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from coshelf.diskcache.core import (
    DEFAULT_SETTINGS,
    ENOVAL,
    EVICTION_POLICY,
    UNKNOWN,
    Cache,
    Disk,
    EmptyDirWarning,
    JSONDisk,
    Timeout,
    UnknownFileWarning,
)
from coshelf.diskcache.fanout import FanoutCache
from coshelf.diskcache.persistent import Deque, Index
from coshelf.diskcache.recipes import Averager, BoundedSemaphore, Lock, RLock, barrier, memoize_stampede, throttle

if TYPE_CHECKING:
    from coshelf.diskcache.djangocache import DjangoCache as DjangoCache
    from coshelf.dropin.diskcache.old_files import remove_old_files
    from coshelf.dropin.diskcache.taking_over import take_over

__all__ = [
    "DEFAULT_SETTINGS",
    "ENOVAL",
    "EVICTION_POLICY",
    "UNKNOWN",
    "Averager",
    "BoundedSemaphore",
    "Cache",
    "Deque",
    "Disk",
    "EmptyDirWarning",
    "FanoutCache",
    "Index",
    "JSONDisk",
    "Lock",
    "RLock",
    "Timeout",
    "UnknownFileWarning",
    "barrier",
    "memoize_stampede",
    "remove_old_files",
    "take_over",
    "throttle",
]
if find_spec("django") is not None:
    __all__ += ["DjangoCache"]

__title__ = "diskcache"
__version__ = "5.6.3"
"""The version of diskcache whose names these are."""
__build__ = 0x050603
__author__ = "the coshelf developers"
__license__ = "MIT"
__copyright__ = "the coshelf developers"

_MODULES = {
    "DjangoCache": "coshelf.diskcache.djangocache",
    "remove_old_files": "coshelf.dropin.diskcache.old_files",
    "take_over": "coshelf.dropin.diskcache.taking_over",
}


def __getattr__(name: str) -> Any:
    """What is imported when it is asked for: Django takes long to import, and the others need the module sqlite3."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_MODULES[name]), name)
    except ImportError as error:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}: {error}") from error
