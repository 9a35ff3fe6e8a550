"""Changes: what commits did to entries, in the order of the commits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

__all__ = ["Change", "Changes", "Kind", "Position"]

Kind = Literal["set", "deleted", "expired", "gap"]
Position = int | str
"""A point in the sequence of the commits of a shelf, from which changes can be read on. On most engines a number."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit did to one entry.

    Attributes:
        key: the encoded key. It is empty for a gap.
        kind: "set": it was stored. "deleted": it was removed, or may have been, if the engine does not know whether it
            existed. "expired": it was removed after its time. "gap": the changes up to this position are not known.
        position: the position right after the commit. All changes of one commit have the same one.
        record: the record that was stored; None if nothing was, or if only the entry's latest state is known.
    """

    key: bytes
    kind: Kind
    position: Position
    record: bytes | None = None


class Changes(ABC):
    """Reads the changes of some ranges of keys, from a position on. Used by one thread at a time.

    As long as it is open, and its process lives, the engine keeps what it has not read, up to a limit that its
    documentation names. Beyond that there is a gap. It keeps some commits for a reader that comes back.
    """

    @abstractmethod
    def read(self, timeout: float | None) -> list[Change]:
        """The next changes, in the order of commits. Wait for them up to ``timeout`` seconds; None: without a limit.

        The list has whole commits, of each one change for each key. It is empty if there were none, and may be empty
        early, as for a signal. A commit comes at most once. After a gap the next change is the first one that is known.
        The wait costs no processor time, unless the engine's ``capabilities.watch`` says "poll".

        Raises:
            ShelfClosed: the reader or the engine has been closed.
        """

    @abstractmethod
    def wake(self) -> None:
        """Let a :meth:`read` that waits in another thread return. Harmless if none waits."""

    @abstractmethod
    def close(self) -> None:
        """Keep nothing for this reader any more. Closing twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
