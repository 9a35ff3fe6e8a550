"""A cache whose directory was deleted while it was open. Nothing is lost then that anybody wants.

A shelf complains at its end that its file was deleted, and when its name is opened again meanwhile. A cache does not.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

from coshelf.errors import ShelfGone
from coshelf.mapping.handle import Handle

__all__ = ["forgive_deletion"]


@runtime_checkable
class _Deletable(Protocol):
    """An engine that lets no other shelf take its name while it is open, unless it is asked to."""

    def allow_deletion(self) -> None: ...


def forgive_deletion(handle: Handle) -> None:
    """Have a handle be silent if its file was deleted: when it is collected, and when the interpreter ends.

    Another cache may take its place then, also while this one is open.
    """
    if isinstance(handle.engine, _Deletable):
        handle.engine.allow_deletion()
    found = handle._finalizer.detach()
    assert found is not None
    _, complain, (owner, close, rest), _ = found

    def end(owner: weakref.ref[Any], close: Callable[[], object], rest: Callable[[], object]) -> None:
        _end_silently(owner, lambda: complain(owner, close, rest))

    handle._finalizer = weakref.finalize(handle, end, owner, close, rest)


def _end_silently(reference: weakref.ref[Handle], end: Callable[[], object]) -> None:
    try:
        end()
    except ShelfGone:
        handle = reference()
        if handle is not None:  # the interpreter ends: no later step is to find it open
            with suppress(ShelfGone):
                handle.close()
