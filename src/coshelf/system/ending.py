"""What becomes of a shelf that nobody has closed: when it is collected, and when the interpreter ends.

Programs write until the very end: in functions that they registered with :mod:`atexit` before they imported us, which
run after ours, and in ``__del__`` while modules are torn down. So at the end a shelf is not closed. It *rests*:
everything is durable, and each later commit is when it returns. It is closed when it is deleted with its module.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["finalizer"]


def finalizer(
    owner: object, close: Callable[[], object], rest: Callable[[], object]
) -> weakref.finalize[[weakref.ref[Any], Callable[[], object], Callable[[], object]], Any]:
    """Have ``close`` called when the owner is collected, or ``rest`` if the interpreter ends before that."""
    return weakref.finalize(owner, _finish, weakref.ref(owner), close, rest)


def _finish(owner: weakref.ref[Any], close: Callable[[], object], rest: Callable[[], object]) -> None:
    if owner() is None:
        close()
    else:
        rest()
