"""Views of a mapping from which other processes remove entries meanwhile."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import Any

__all__ = ["LivingItems", "LivingValues"]


def _items(mapping: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """The items whose entries still exist when their turn comes."""
    for key in mapping:
        try:
            value = mapping[key]
        except KeyError:
            continue
        yield key, value


class LivingItems(ItemsView[Any, Any]):
    """Items without those that another process removes before their turn."""

    _mapping: Mapping[Any, Any]

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return _items(self._mapping)


class LivingValues(ValuesView[Any]):
    """Values without those that another process removes before their turn."""

    _mapping: Mapping[Any, Any]

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in _items(self._mapping))

    def __contains__(self, value: object) -> bool:
        return any(value is other or value == other for other in self)
