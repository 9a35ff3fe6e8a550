"""``Shelf.queue`` and ``Shelf.deque``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from coshelf import native
from coshelf.contract import Batch, Engine, Reader
from coshelf.mapping.coordinating import Coordinating
from coshelf.mapping.handle import Handle
from coshelf.mapping.namespace import Namespace
from coshelf.values.pickled import PickleCodec

if TYPE_CHECKING:
    from coshelf.coordination.deques import Deque
    from coshelf.coordination.ground import Writable
    from coshelf.coordination.queues import Queue
    from coshelf.coordination.takers import Takers

__all__ = ["Queueing"]

V = TypeVar("V")

_ATTEMPTS = 5


class Ground:
    """The shelf, as :class:`coshelf.coordination.ground.Ground` describes it."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.codec = codec = handle.codec
        self.writes_plainly = native.in_use and type(codec) is PickleCodec and codec.stores_plain_pickles

    @property
    def engine(self) -> Engine:
        return self._handle.engine

    @property
    def is_inside(self) -> bool:
        return bool(self._handle.inside)

    @property
    def takers(self) -> Takers:
        found = self._handle.takers
        if not found:
            from coshelf.coordination.takers import Takers

            found.append(Takers(self._handle.engine))
        return found[0]

    def joined(self) -> Writable | None:
        state = self._handle.joined()
        return None if state is None else cast("Writable", state.overlay())

    def reader(self) -> Reader:
        state = self._handle.state() if self._handle.inside else None
        return self._handle.engine if state is None else state.overlay()

    def commit(self, batch: Batch) -> int | str:
        return self._handle.engine.commit(batch)

    def afterwards(self, call: Callable[[], object]) -> None:
        self._handle.afterwards(call)


class Queueing(Coordinating, Generic[V]):
    """The methods of a :class:`coshelf.Shelf` that give queues and deques."""

    _handle: Handle
    _namespace: Namespace

    def queue(self, name: str, maxsize: int = 0, attempts: int | None = _ATTEMPTS) -> Queue[V]:
        """A queue that all processes with the shelf share. It exists as long as it has items.

        Its items are no entries of the shelf: they have no keys, ``len(shelf)`` does not count them, and ``clear()``
        leaves them. Opening the shelf with flag "n" removes them. They are stored as values are. In ``sub("users")``
        the queue ``"jobs"`` is the shelf's ``"users/jobs"``.

        Args:
            name: the name of the queue.
            maxsize: how many items it takes. ``put`` waits when it is full. 0: there is no limit. All processes should
                give the same.
            attempts: how often an item is given to takers that do not finish it, until it is put aside as failed. None:
                there is no limit.

        Raises:
            TypeError, ValueError: an argument is not possible.
            InvalidKey: the name is too long.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> jobs = shelf.queue("jobs")
        >>> jobs.put({"page": 1})
        >>> with jobs.take() as job:
        ...     job
        {'page': 1}
        """
        from coshelf.coordination.queues import Queue

        return Queue(Ground(self._handle), self._full_name(name, "queue"), maxsize, attempts)

    def deque(self, name: str, maxlen: int | None = None) -> Deque[V]:
        """A deque that all processes with the shelf share, with the methods of :class:`collections.deque`.

        Its items are no entries of the shelf, as those of :meth:`queue`. In ``sub("users")`` the deque ``"recent"`` is
        the shelf's ``"users/recent"``.

        Args:
            name: the name of the deque.
            maxlen: how many items it has at most. ``append`` then drops an item at the other end.

        Raises:
            TypeError, ValueError: an argument is not possible.
            InvalidKey: the name is too long.

        >>> import coshelf
        >>> recent = coshelf.open("memory:").deque("recent", maxlen=2)
        >>> for page in "abc":
        ...     recent.append(page)
        >>> list(recent)
        ['b', 'c']
        """
        from coshelf.coordination.deques import Deque

        return Deque(Ground(self._handle), self._full_name(name, "deque"), maxlen)

    def _full_name(self, name: str, what: str) -> str:
        if not isinstance(name, str):
            raise TypeError(f"the name of a {what} is a str, not {type(name).__name__}")
        if not name:
            raise ValueError(f"the name of a {what} cannot be empty")
        self._handle.refuse_closed()
        return self._namespace.prefix + name
