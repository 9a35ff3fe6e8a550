"""Protocols that an engine may have in addition. An engine with the methods of a protocol has the protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from coshelf.contract.engine import Engine

if TYPE_CHECKING:
    from coshelf.inspection.reports import Compaction, Figures, Progress, Report

__all__ = ["Compacting", "Guarding", "Markable", "Measured", "SelfChecking", "TellsOrigin", "distrust"]


@runtime_checkable
class TellsOrigin(Protocol):
    """An engine that can tell which users may have written its entries. For any other engine, any user may have."""

    def distrust(self) -> str | None:
        """The result of the function :func:`distrust`."""
        ...


@runtime_checkable
class Markable(TellsOrigin, Protocol):
    """An engine on files of this machine, which a user can mark as trusted."""

    def exposure(self) -> str | None:
        """How another user can write the entries, in words; None if no other user can."""
        ...

    def trust(self) -> None:
        """Mark the entries as trusted by this user. Raises :class:`~coshelf.errors.Unsupported` if it cannot."""
        ...

    def revoke(self) -> bool:
        """Remove the mark; return whether there was one."""
        ...


@runtime_checkable
class Guarding(Protocol):
    """An engine whose entries may have different owners, though it gives no reason for distrust."""

    def guard(self) -> None:
        """From now on, raise UntrustedValue instead of reading an entry that another user may have written."""
        ...


@runtime_checkable
class SelfChecking(Protocol):
    """An engine that stores more than records, or that has a better way to read all of them."""

    def check(self, progress: Progress | None) -> Report:
        """Read everything that is stored, and report each difference from what was written."""
        ...


@runtime_checkable
class Compacting(Protocol):
    """An engine that can release unused space."""

    def compact(self, progress: Progress | None = None) -> Compaction:
        """Release the space. Not called while this thread is inside :meth:`~coshelf.contract.Engine.exclusive`.

        ``progress`` is given only if somebody wants to know it.
        """
        ...


@runtime_checkable
class Measured(Protocol):
    """An engine that knows figures of the file in which its entries lie."""

    def figures(self) -> Figures:
        """These figures, as of now."""
        ...


def distrust(engine: Engine) -> str | None:
    """Why another user may have written the entries of an engine, in words; None if only this user can have.

    If there is a reason, only plain data is unpickled, unless the caller of ``open`` gives ``trust`` or ``allow``.
    """
    # Not isinstance(engine, TellsOrigin): before Python 3.12 that takes 20 us, and each opening asks.
    told: Callable[[], str | None] | None = getattr(engine, "distrust", None)
    return told() if told is not None else f"the {engine.name} engine does not know which user wrote it"
