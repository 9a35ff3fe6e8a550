"""What the hot paths do in C, where coshelf was installed with its module in C, and in Python elsewhere.

Both do the same: the module makes coshelf faster and changes nothing else. ``COSHELF_NATIVE=0`` in the environment
keeps it out of use.

>>> import coshelf.native
>>> coshelf.native.in_use or bool(coshelf.native.reason)
True
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

__all__ = ["in_use", "reason"]

_F = TypeVar("_F", bound=Callable[..., Any])


def _find() -> tuple[ModuleType | None, str]:
    """The module, or why it is not in use."""
    if os.environ.get("COSHELF_NATIVE") == "0":
        return None, "COSHELF_NATIVE=0"
    try:
        from coshelf import _native  # type: ignore[attr-defined]  # it may not have been built
    except ImportError as error:
        return None, f"it was not built: {error}"
    return _native, ""


_module, reason = _find()
reason: str
"""Why the module is not in use; empty if it is."""
in_use: bool = _module is not None
"""Whether the module is in use."""


def faster(name: str, function: _F) -> _F:
    """The function, with most of what it does done in C, if it can be. ``name`` is the module's for it."""
    return function if _module is None else _module.either(name, function)


def instead(name: str, function: _F) -> _F:
    """The module's function of this name, which does what ``function`` does; that one if there is no module."""
    found: _F = function if _module is None else getattr(_module, name)
    return found


def base_reader(file: int, lock: int, state: Any, dirty: int) -> Any:
    """What reads the base without LMDB, by two descriptors; None where nothing does."""
    if _module is None:
        return None
    try:
        return _module.BaseReader(file, lock, state, dirty)
    except (OSError, ValueError):  # no address space, or an LMDB that is built in another way
        return None
