"""The model of a shelf: a dict in key order whose values are copies, with namespaces."""

from __future__ import annotations

import copy
from collections.abc import Iterator, MutableMapping
from typing import Any

from coshelf.testing.machine.globs import matches

__all__ = ["Model", "canonical", "order"]


def order(key: Any) -> tuple[Any, ...]:
    """A sort key in the order of keys: None < numbers < str < bytes < tuples."""
    if key is None:
        return (0,)
    if isinstance(key, (int, float)):
        return (1, key)
    if isinstance(key, str):
        return (2, key)
    if isinstance(key, bytes):
        return (3, key)
    return (4, tuple(order(element) for element in key))


def canonical(key: Any) -> Any:
    """The form in which a key comes back. An integral number is an int."""
    if isinstance(key, tuple):
        return tuple(canonical(element) for element in key)
    if isinstance(key, float) and not key.is_integer():  # infinities are not integral either
        return key
    return int(key) if isinstance(key, (int, float)) else key


class Model(MutableMapping[Any, Any]):
    """The model of a shelf: a dict in key order whose values are copies, with namespaces."""

    def __init__(self, entries: dict[Any, Any], prefix: str = "") -> None:
        self.entries = entries
        self._prefix = prefix

    def sub(self, name: str) -> Model:
        """The part under a name."""
        return Model(self.entries, self._prefix + name + "/")

    def frozen(self) -> Model:
        """A copy that does not change."""
        return Model(copy.deepcopy(self.entries), self._prefix)

    def _outer(self, key: Any) -> Any:
        if not self._prefix:
            return key
        return self._prefix + key if isinstance(key, str) else (self._prefix, key)

    def _inner(self, key: Any) -> Iterator[Any]:
        """The key as this part shows it; nothing if it belongs to another part."""
        if not self._prefix:
            yield key
        elif isinstance(key, str) and key.startswith(self._prefix):
            yield key[len(self._prefix) :]
        elif isinstance(key, tuple) and len(key) == 2 and key[0] == self._prefix and not isinstance(key[1], str):
            yield key[1]

    def __iter__(self) -> Iterator[Any]:
        return iter(sorted((inner for key in self.entries for inner in self._inner(key)), key=order))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, key: Any) -> Any:
        return copy.deepcopy(self.entries[self._outer(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries[self._outer(canonical(key))] = copy.deepcopy(value)

    def __delitem__(self, key: Any) -> None:
        del self.entries[self._outer(key)]

    def select(self, conditions: dict[str, Any]) -> list[Any]:
        """The keys that ``shelf.keys(**conditions)`` should give."""
        found = [key for key in self if meets(key, conditions)]
        return found[::-1] if conditions.get("reverse") else found


def meets(key: Any, conditions: dict[str, Any]) -> bool:
    """Whether a key is one that ``shelf.keys(**conditions)`` should give."""
    glob, prefix, start, stop = (conditions.get(name) for name in ("glob", "prefix", "start", "stop"))
    return (
        (glob is None or (isinstance(key, str) and matches(glob, key)))
        and (prefix is None or (isinstance(key, type(prefix)) and key[: len(prefix)] == prefix))
        and (start is None or order(key) >= order(start))
        and (stop is None or order(key) < order(stop))
    )
