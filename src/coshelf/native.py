"""Uses the module in C for hot paths, if coshelf was installed with it. Otherwise these paths are in Python.

Both do the same: the module makes coshelf faster, and changes nothing else. With ``COSHELF_NATIVE=0`` in the
environment the module is not used.

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
        import coshelf._native as _native  # noqa: PLR0402  # the other form suspects a circular import if there is none
    except ImportError as error:
        reason = f"it was not built: {error}"
in_use = not reason
"""Whether the module is in use."""


def faster(name: str, function: _F) -> _F:
    """The function, with most of its work in C if the module is in use. ``name`` is its name in the module."""
    made: _F = _native.either(name, function) if in_use else function
    return made


def instead(name: str, function: _F) -> _F:
    """The module's function of this name, which does what ``function`` does; ``function`` without the module."""
    found: _F = getattr(_native, name) if in_use else function
    return found


def base_reader(file: int, ends: int, lock: int, state: memoryview, dirty: int) -> BaseReader | None:
    """The reader of the base without LMDB; None if that is impossible.

    Args:
        file: a descriptor of the base.
        ends: a descriptor of the base whose position may be moved, to find the end.
        lock: the descriptor of its lock file.
        state: the state page.
        dirty: the place in the state page that says whether the delta is dirty.
    """
    if not in_use:
        return None
    try:
        return _native.BaseReader(file, ends, lock, state, dirty)
    except (OSError, ValueError):  # no address space, or an LMDB that was built in another way
        return None
