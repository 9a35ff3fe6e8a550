"""Whose shelf it is, which other users can write it, and what may be unpickled from it."""

from typing import Any

__all__ = ["revoke", "trust_shelf"]


def __getattr__(name: str) -> Any:
    # Granting trust opens the shelf, and engines, which this package lies beneath, ask it whose a shelf is.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from coshelf.trust import granting

    return getattr(granting, name)
