"""The C library through ctypes, without some of its functions."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from lacking.counting import note

__all__ = ["libraries_without"]


def libraries_without(symbols: tuple[str, ...], functions: Mapping[str, Any]) -> dict[str, Any]:
    """What coshelf finds in ``ctypes`` instead of the class that loads a library.

    Args:
        symbols: functions of the C library that are not found.
        functions: what is found instead of a function of the C library.
    """
    lacks = frozenset(symbols)

    class CDLL(ctypes.CDLL):
        def __getattr__(self, name: str) -> Any:
            return _other(name) or super().__getattr__(name)

        def __getitem__(self, name: str) -> Any:
            return _other(name) or super().__getitem__(name)

    def _other(name: str) -> Any:
        if name in lacks:
            note(f"symbol {name}")
            raise AttributeError(f"undefined symbol: {name}")
        return functions.get(name)

    return {"CDLL": CDLL}
