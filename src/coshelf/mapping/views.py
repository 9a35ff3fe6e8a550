"""Views of a shelf: lazy, in key order, each iteration over one instant."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import TYPE_CHECKING, Any, TypeVar

from coshelf.mapping.selection import Selection

if TYPE_CHECKING:
    from coshelf.mapping.readable import Readable

__all__ = ["ShelfItems", "ShelfKeys", "ShelfValues"]

K = TypeVar("K")
V = TypeVar("V")


class _View:
    """What the three views share: the shelf, and which of its entries are shown."""

    _shelf: Readable[Any, Any]
    _selection: Selection

    def __len__(self) -> int:
        return self._selection.count(self._shelf._reader())

    def __bool__(self) -> bool:
        return any(True for _ in self._keys(self._selection))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._shelf!r}>"

    def _items(self, selection: Selection) -> Iterator[tuple[Any, Any]]:
        return self._shelf._items(selection)

    def _keys(self, selection: Selection) -> Iterator[Any]:
        return selection.keys(self._shelf._reader())

    def _backwards(self) -> Selection:
        chosen = self._selection
        return Selection(chosen.namespace, chosen.ranges, chosen.glob, not chosen.reverse)


class ShelfKeys(_View, KeysView[K]):
    """The keys of a shelf, with the operations of a set."""

    def __init__(self, shelf: Readable[K, Any], selection: Selection) -> None:
        self._shelf = shelf
        self._selection = selection

    def __iter__(self) -> Iterator[K]:
        return self._keys(self._selection)

    def __reversed__(self) -> Iterator[K]:
        return self._keys(self._backwards())

    def __contains__(self, key: object) -> bool:
        return key in self._shelf and key in self._selection


class ShelfItems(_View, ItemsView[K, V]):
    """The items of a shelf, with the operations of a set."""

    def __init__(self, shelf: Readable[K, V], selection: Selection) -> None:
        self._shelf = shelf
        self._selection = selection

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._items(self._selection)

    def __reversed__(self) -> Iterator[tuple[K, V]]:
        return self._items(self._backwards())

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        key, value = item
        found = self._shelf.get(key, self)
        return found is not self and key in self._selection and bool(found is value or found == value)


class ShelfValues(_View, ValuesView[V]):
    """The values of a shelf."""

    def __init__(self, shelf: Readable[Any, V], selection: Selection) -> None:
        self._shelf = shelf
        self._selection = selection

    def __iter__(self) -> Iterator[V]:
        return (value for _, value in self._items(self._selection))

    def __reversed__(self) -> Iterator[V]:
        return (value for _, value in self._items(self._backwards()))

    def __contains__(self, value: object) -> bool:
        return any(found is value or found == value for found in self)
