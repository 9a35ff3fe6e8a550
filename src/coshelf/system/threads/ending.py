"""The end of a shelf that was not closed: when it is collected, and when the interpreter ends.

Programs may write until the very end. Functions that they registered with :mod:`atexit` before the import of coshelf
run after coshelf's own, and ``__del__`` runs while modules are torn down. So at the end of the interpreter a shelf is
not closed. It *rests*: everything is durable, and each later commit is durable when it returns. The shelf is closed
when it is deleted with its module.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["finalizer"]


def finalizer(
    owner: object, close: Callable[[], object], rest: Callable[[], object]
) -> weakref.finalize[[weakref.ref[Any], Callable[[], object], Callable[[], object]], Any]:
    """Arrange a call of ``close`` when the owner is collected, or of ``rest`` if the interpreter ends before that."""
    return weakref.finalize(owner, _finish, weakref.ref(owner), close, rest)


def _finish(owner: weakref.ref[Any], close: Callable[[], object], rest: Callable[[], object]) -> None:
    if owner() is None:
        close()
    else:
        rest()
