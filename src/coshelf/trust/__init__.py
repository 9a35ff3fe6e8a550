"""The owner of a shelf, the other users that can write it, and what of it may be unpickled."""

from typing import Any

__all__ = ["revoke", "trust_shelf"]


def __getattr__(name: str) -> Any:
    # Granting trust opens the shelf. Engines lie above this package and use it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from coshelf.trust import granting

    return getattr(granting, name)
