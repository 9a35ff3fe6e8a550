"""A shelf with the interface of a dbm object: bytes in, bytes out, and a cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from types import TracebackType
from typing import Any, Self

from coshelf.mapping.shelf import Shelf

__all__ = ["BytesFace"]


class BytesFace(MutableMapping[bytes, bytes]):
    """A mapping of bytes over the entries of a shelf whose keys are of one type. Other entries are not shown.

    Args:
        shelf: the shelf with the entries; its values are bytes. Closing the face closes it.
        everything: the prefix that all keys of the type have, ``""`` or ``b""``.
        to_key: from bytes to the shelf's key.
        from_key: from the shelf's key to bytes.

    The cursor methods are those of a ``bsddb`` object. Each returns a pair. At an end, it raises KeyError, and the
    cursor does not move. The position is a key, so entries may be inserted and deleted around it.
    """

    def __init__(
        self,
        shelf: Shelf[Any, bytes],
        everything: str | bytes,
        to_key: Callable[[Any], Any],
        from_key: Callable[[Any], bytes],
    ) -> None:
        self._opened = shelf
        self._everything = everything
        self._to_key = to_key
        self._from_key = from_key
        self._at: Any = None

    @property
    def _shelf(self) -> Shelf[Any, bytes]:
        return self._opened

    # --- the mapping -------------------------------------------------------------------------------------------------

    def __getitem__(self, key: bytes) -> bytes:
        try:
            return self._shelf[self._to_key(key)]
        except KeyError:
            raise KeyError(key) from None

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._shelf[self._to_key(key)] = self._to_value(value)

    def __delitem__(self, key: bytes) -> None:
        try:
            del self._shelf[self._to_key(key)]
        except KeyError:
            raise KeyError(key) from None

    def __contains__(self, key: object) -> bool:
        return self._to_key(key) in self._shelf

    def __iter__(self) -> Iterator[bytes]:
        return map(self._from_key, iter(self._shelf.keys(prefix=self._everything)))

    def __len__(self) -> int:
        shelf = self._shelf
        return len(shelf) if self._sees_all(shelf) else sum(1 for _ in shelf.keys(prefix=self._everything))

    def __bool__(self) -> bool:
        return any(True for _ in self)

    def keys(self) -> list[bytes]:  # type: ignore[override]
        """All keys, as the list that dbm objects give."""
        return list(self)

    def setdefault(self, key: bytes, default: bytes = b"") -> bytes:
        """The value of ``key``; if there is none, ``default`` is stored and returned, in one step."""
        return self._shelf.setdefault(self._to_key(key), self._to_value(default))

    def clear(self) -> None:
        """Remove all entries, in one commit."""
        with self._shelf.transaction() as transaction:
            if self._sees_all(transaction):
                transaction.clear()
            else:
                for key in list(transaction.keys(prefix=self._everything)):
                    del transaction[key]

    def _to_value(self, value: Any) -> bytes:
        if isinstance(value, str):
            return value.encode()
        if not isinstance(value, (bytes, bytearray)):
            raise TypeError(f"a value must be bytes or a string, not {type(value).__name__}")
        return bytes(value)

    def _sees_all(self, entries: Any) -> bool:
        """Whether all keys are of this type. Keys of one type are adjacent, so the first and last key decide."""
        kind = type(self._everything)
        ends = (next(iter(entries.keys(reverse=reverse)), self._everything) for reverse in (False, True))
        return all(isinstance(end, kind) for end in ends)

    # --- the cursor --------------------------------------------------------------------------------------------------

    def first(self) -> tuple[bytes, bytes]:
        """Move to the first item."""
        return self._move()

    def last(self) -> tuple[bytes, bytes]:
        """Move to the last item."""
        return self._move(reverse=True)

    def __next__(self) -> tuple[bytes, bytes]:
        """Move to the next item. Without a position, move to the first item."""
        return self._move(start=self._at, behind=self._at)

    def next(self) -> tuple[bytes, bytes]:
        """As ``next()`` of the face."""
        return next(self)

    def previous(self) -> tuple[bytes, bytes]:
        """Move to the item before. Without a position, move to the last item."""
        return self._move(stop=self._at, reverse=True)

    def set_location(self, key: bytes) -> tuple[bytes, bytes]:
        """Move to the item with this key or the next greater one."""
        return self._move(start=self._to_key(key))

    def _move(
        self, *, start: Any = None, stop: Any = None, behind: Any = None, reverse: bool = False
    ) -> tuple[bytes, bytes]:
        for key, value in self._shelf.items(prefix=self._everything, start=start, stop=stop, reverse=reverse):
            if behind is None or key != behind:
                self._at = key
                return self._from_key(key), value
        raise KeyError("the cursor is at an end")

    # --- the end -----------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Return when everything that was stored so far is safe from power loss."""
        self._shelf.sync()

    def reorganize(self) -> None:
        """Give unused space back to the disk. No other process may have it open: see :meth:`coshelf.Shelf.compact`."""
        self._shelf.compact()

    def close(self) -> None:
        """Close the shelf. It may be closed again."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
