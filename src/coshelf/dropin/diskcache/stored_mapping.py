"""A dict over a cache: entries in the order in which keys came, views and comparison."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import ItemsView, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from typing import Any

from coshelf.diskcache.core import ENOVAL, Cache
from coshelf.dropin.diskcache.layout import Row
from coshelf.dropin.diskcache.rows import Rows
from coshelf.dropin.diskcache.vanishing import LivingItems, LivingValues

__all__ = ["StoredMapping"]


class StoredMapping(MutableMapping[Any, Any]):
    """The part of an index that every dict has."""

    __hash__ = None  # type: ignore[assignment]
    _cache: Cache

    def __getitem__(self, key: Any) -> Any:
        return self._cache[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._cache[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._cache[key]

    def __contains__(self, key: object) -> bool:
        return key in self._cache

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cache)

    def __reversed__(self) -> Iterator[Any]:
        return reversed(self._cache)

    def __len__(self) -> int:
        return len(self._cache)

    def keys(self) -> KeysView[Any]:
        """A view of the keys."""
        return KeysView(self)

    def values(self) -> ValuesView[Any]:
        """A view of the values. It skips what another process removes meanwhile."""
        return LivingValues(self)

    def items(self) -> ItemsView[Any, Any]:
        """A view of the items. It skips what another process removes meanwhile."""
        return LivingItems(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        if len(self) != len(other):
            return False
        if isinstance(other, StoredMapping | OrderedDict):
            pairs = zip(self.items(), other.items(), strict=False)
            return not any(key != other_key or value != found for (key, value), (other_key, found) in pairs)
        return all(value == other.get(key, ENOVAL) for key, value in self.items())

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def _popped(self, last: bool) -> tuple[Any, Any]:
        """Remove the last or the first entry in one step, and return its key and value. Raises KeyError if empty."""
        is_raw = True

        def end(rows: Rows) -> tuple[bool, Any, Row] | None:
            nonlocal is_raw
            found = rows.end(last=last)
            if found is not None:
                is_raw = found[0]
            return found

        key, value = self._cache._taken(end, (ENOVAL, ENOVAL), False, False, True, removes=True)
        if value is ENOVAL:
            raise KeyError("dictionary is empty")
        return self._cache.disk.get(key, is_raw), value
