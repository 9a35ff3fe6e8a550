"""Objects that the interpreter never deallocates, not even at its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["keeper"]


def keeper() -> Callable[[object], object] | None:
    """A function that keeps an object for ever; None if Python was built without ctypes.

    Call this before a fork: in a child an import that another thread had begun would never end.
    """
    try:
        import ctypes
    except ImportError:
        return None
    increase: Any = ctypes.pythonapi.Py_IncRef
    wrap: Any = ctypes.py_object
    return lambda kept: increase(wrap(kept))
