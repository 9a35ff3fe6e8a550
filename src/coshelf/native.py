"""Which hot paths are in C: where coshelf was installed with its module in C. Elsewhere they are in Python.

Both do the same: the module makes coshelf faster, and changes nothing else. ``COSHELF_NATIVE=0`` in the environment
keeps the module out of use.

>>> import coshelf.native
>>> coshelf.native.in_use or bool(coshelf.native.reason)
True
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from coshelf import _native
    from coshelf._native import BaseReader

__all__ = ["base_reader", "faster", "in_use", "instead", "reason"]

_F = TypeVar("_F", bound=Callable[..., Any])

reason = ""
"""Why the module is not in use; empty if it is."""
if os.environ.get("COSHELF_NATIVE") == "0":
    reason = "COSHELF_NATIVE is 0"
else:
    try:
        from coshelf import _native
    except ImportError as error:
        reason = f"it was not built: {error}"
in_use = not reason
"""Whether the module is in use."""


def faster(name: str, function: _F) -> _F:
    """The function, with most of what it does done in C, if it can be. ``name`` is the module's for it."""
    made: _F = _native.either(name, function) if in_use else function
    return made


def instead(name: str, function: _F) -> _F:
    """The module's function of this name, which does what ``function`` does; that one if there is no module."""
    found: _F = getattr(_native, name) if in_use else function
    return found


def base_reader(file: int, ends: int, lock: int, state: memoryview, dirty: int) -> BaseReader | None:
    """What reads the base without LMDB. None where nothing does.

    Args:
        file: a descriptor of the base.
        ends: one whose position may be moved, to find the end.
        lock: the descriptor of its lock file.
        state: the state page.
        dirty: where it says whether something waits in the delta.
    """
    if not in_use:
        return None
    try:
        return _native.BaseReader(file, ends, lock, state, dirty)
    except (OSError, ValueError):  # no address space, or an LMDB that is built in another way
        return None
