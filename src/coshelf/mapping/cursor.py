"""A position among the keys of a shelf."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from coshelf.mapping.selection import Selection

if TYPE_CHECKING:
    from coshelf.mapping.readable import Readable

__all__ = ["Cursor"]

K = TypeVar("K")
V = TypeVar("V")


class Cursor(Generic[K, V]):
    """Moves over the items of a shelf in key order, both ways.

    Where it stands is a key, not a place in a file, so entries may be inserted and deleted around it, and its own as
    well. Each move sees the shelf of that moment. At an end a move returns None and the cursor stays.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> shelf.update(a=1, c=3)
    >>> cursor = shelf.cursor()
    >>> cursor.seek("b"), cursor.next(), cursor.previous()
    (('c', 3), None, ('a', 1))
    """

    def __init__(self, shelf: Readable[K, V]) -> None:
        self._shelf = shelf
        self._position: bytes | None = None

    @property
    def key(self) -> K:
        """The key at which the cursor stands. LookupError before the first move."""
        if self._position is None:
            raise LookupError("the cursor has not been moved to an entry yet")
        key: K = self._shelf._namespace.decode(self._position)
        return key

    def first(self) -> tuple[K, V] | None:
        """Move to the first item."""
        return self._move(None, None, reverse=False)

    def last(self) -> tuple[K, V] | None:
        """Move to the last item."""
        return self._move(None, None, reverse=True)

    def next(self) -> tuple[K, V] | None:
        """Move to the item with the next greater key; to the first, if not moved yet."""
        behind = None if self._position is None else self._position + b"\x00"
        return self._move(behind, None, reverse=False)

    def previous(self) -> tuple[K, V] | None:
        """Move to the item with the next smaller key; to the last, if not moved yet."""
        return self._move(None, self._position, reverse=True)

    def seek(self, key: K) -> tuple[K, V] | None:
        """Move to the item with this key or the next greater one."""
        return self._move(self._shelf._namespace.encode(key), None, reverse=False)

    def _move(self, start: bytes | None, stop: bytes | None, *, reverse: bool) -> tuple[K, V] | None:
        namespace = self._shelf._namespace
        around = Selection(namespace, tuple(namespace.between(start, stop)), None, reverse)
        found: tuple[Any, bytes, Any] | None = next(iter(around.scan(self._shelf._reader())), None)
        if found is None:
            return None
        key, self._position, entry = found
        return key, self._shelf._value(key, self._position, entry)
