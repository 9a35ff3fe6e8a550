"""What an engine may have beside :class:`~coshelf.contract.Engine`. One that has the methods has the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from coshelf.contract.engine import Engine

if TYPE_CHECKING:
    from coshelf.inspection.reports import Compaction, Figures, Progress, Report

__all__ = ["Compacting", "Guarding", "Markable", "Measured", "SelfChecking", "TellsOrigin", "distrust"]


@runtime_checkable
class TellsOrigin(Protocol):
    """An engine that can tell who may have written what it stores. Without it, anybody may have."""

    def distrust(self) -> str | None:
        """As the function :func:`distrust`."""
        ...


@runtime_checkable
class Markable(TellsOrigin, Protocol):
    """An engine on files of this machine, which a user can mark as trusted."""

    def exposure(self) -> str | None:
        """Why somebody else can write what is stored, in words; None if nobody can."""
        ...

    def trust(self) -> None:
        """Mark what is stored as trusted by this user. Raises :class:`~coshelf.errors.Unsupported` if it cannot be."""
        ...

    def revoke(self) -> bool:
        """Remove the mark; return whether there was one."""
        ...


@runtime_checkable
class Guarding(Protocol):
    """An engine whose entries may have different owners, though it gives no reason for distrust."""

    def guard(self) -> None:
        """From now on, raise UntrustedValue instead of reading an entry that somebody else can have written."""
        ...


@runtime_checkable
class SelfChecking(Protocol):
    """An engine that stores more than its records, or has a better way to read all of them."""

    def check(self, progress: Progress | None) -> Report:
        """Read everything that is stored, and report what is not as it was written."""
        ...


@runtime_checkable
class Compacting(Protocol):
    """An engine that can release space that it does not need."""

    def compact(self) -> Compaction:
        """Release it. Not called inside :meth:`~coshelf.contract.Engine.exclusive` of this thread."""
        ...


@runtime_checkable
class Measured(Protocol):
    """An engine that knows figures of the file in which its entries lie."""

    def figures(self) -> Figures:
        """These figures, as of now."""
        ...


def distrust(engine: Engine) -> str | None:
    """Why somebody else may have written what an engine stores, in words; None if only this user can have done so.

    If there is a reason, only plain data is unpickled, unless the user says otherwise.
    """
    if isinstance(engine, TellsOrigin):
        return engine.distrust()
    return f"the {engine.name} engine does not know who wrote it"
