"""What queues and deques stand on: the shelf, as far as they know it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol

from coshelf.contract import Batch, Engine, Reader
from coshelf.coordination.takers import Takers
from coshelf.values.codec import Codec

__all__ = ["Ground", "Writable"]


class Writable(Reader):
    """A reader that is written, too: the transaction that a task is in."""

    @abstractmethod
    def put(self, key: bytes, body: bytes) -> None:
        """Put a row."""

    @abstractmethod
    def delete(self, key: bytes) -> None:
        """Delete a row."""

    @abstractmethod
    def clear(self, start: bytes, stop: bytes) -> None:
        """Delete the rows of a range."""


class Ground(Protocol):
    """The shelf of a queue or deque.

    Attributes:
        codec: writes and reads its values.
        writes_plainly: whether the quick ways of the engine write what the codec would.
    """

    codec: Codec
    writes_plainly: bool

    @property
    def engine(self) -> Engine:
        """The engine. Of a closed shelf, one that raises ShelfClosed."""
        ...

    @property
    def is_inside(self) -> bool:
        """Whether any task is in a transaction of the shelf."""
        ...

    @property
    def takers(self) -> Takers:
        """The items that this process has taken."""
        ...

    def joined(self) -> Writable | None:
        """The transaction that a write of this task is part of.

        Raises ShelfClosed, ReadOnlyShelf and TransactionInProgress if there is none, and the shelf cannot be written.
        """
        ...

    def reader(self) -> Reader:
        """What reads of this task see."""
        ...

    def commit(self, batch: Batch) -> int | str:
        """Commit a batch that is part of no transaction."""
        ...

    def afterwards(self, call: Callable[[], object]) -> None:
        """Call a function when the transaction of this task has been committed, or undone."""
        ...
