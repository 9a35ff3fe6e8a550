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
    """The model of a shelf: a dict in key order whose values are copies, with namespaces.

    ``times`` says when entries expire, in microseconds. Assignment makes an entry permanent.
    """

    def __init__(self, entries: dict[Any, Any], prefix: str = "", times: dict[Any, int] | None = None) -> None:
        self.entries = entries
        self.times: dict[Any, int] = {} if times is None else times
        self._prefix = prefix

    def sub(self, name: str) -> Model:
        """The part under a name."""
        return Model(self.entries, self._prefix + name + "/", self.times)

    def frozen(self) -> Model:
        """A copy that does not change."""
        return Model(copy.deepcopy(self.entries), self._prefix, self.times.copy())

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
        outer = self._outer(canonical(key))
        self.entries[outer] = copy.deepcopy(value)
        self.times.pop(outer, None)

    def __delitem__(self, key: Any) -> None:
        outer = self._outer(key)
        del self.entries[outer]
        self.times.pop(outer, None)

    def change(self, key: Any, value: Any) -> None:
        """Store a value, and keep the time of the entry."""
        time = self.time_of(key) if key in self else None
        self[key] = value
        if time is not None:
            self.times[self._outer(canonical(key))] = time

    def store(self, key: Any, value: Any, time: int | None, now: int) -> None:
        """Store a value with a time. If that has come, the entry is gone."""
        self[key] = value
        if time is not None and time <= now:
            del self[canonical(key)]
        elif time is not None:
            self.times[self._outer(canonical(key))] = time

    def time_of(self, key: Any) -> int | None:
        """When an entry expires; None if it does not."""
        return self.times.get(self._outer(canonical(key)))

    def drop_expired(self, now: int) -> None:
        """Remove the entries whose time has come."""
        for outer in [outer for outer, time in self.times.items() if time <= now]:
            del self.entries[outer], self.times[outer]

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
