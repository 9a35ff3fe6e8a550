"""The model of a shelf: a dict in key order whose values are copies, with namespaces."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from coshelf.testing.machine.globs import matches

__all__ = ["Content", "Model", "canonical", "order"]


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


@dataclass
class Content:
    """What a model and its parts share.

    Attributes:
        entries: the values by key.
        times: when entries expire, in microseconds. Permanent ones are not in it.
        gone: the entries that have expired and were not stored again, with their times. If the clock is put back, each
            of them exists again, or has been removed.
        time_of_new: the time of an entry that is stored without one; None if it is permanent.
    """

    entries: dict[Any, Any] = field(default_factory=dict)
    times: dict[Any, int] = field(default_factory=dict)
    gone: dict[Any, tuple[Any, int]] = field(default_factory=dict)
    time_of_new: Callable[[], int | None] = lambda: None


class Model(MutableMapping[Any, Any]):
    """The model of a shelf: a dict in key order whose values are copies, with namespaces and times."""

    def __init__(self, content: Content, prefix: str = "") -> None:
        self.content = content
        self._prefix = prefix

    def sub(self, name: str) -> Model:
        """The part under a name."""
        return Model(self.content, self._prefix + name + "/")

    def frozen(self) -> Model:
        """A copy that does not change."""
        content = self.content
        entries, times, gone = copy.deepcopy(content.entries), content.times.copy(), content.gone.copy()
        return Model(Content(entries, times, gone, content.time_of_new), self._prefix)

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
        return iter(sorted((inner for key in self.content.entries for inner in self._inner(key)), key=order))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, key: Any) -> Any:
        return copy.deepcopy(self.content.entries[self._outer(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._put(key, value, self.content.time_of_new())

    def __delitem__(self, key: Any) -> None:
        outer = self._outer(key)
        del self.content.entries[outer]
        self.content.times.pop(outer, None)

    def clear(self) -> None:
        """Remove all entries. What has expired does not come back either."""
        super().clear()
        gone = self.content.gone
        for outer in [key for key in gone for _ in self._inner(key)]:
            del gone[outer]

    def change(self, key: Any, value: Any) -> None:
        """Store a value, and keep the time of the entry."""
        self._put(key, value, self.time_of(key) if key in self else self.content.time_of_new())

    def store(self, key: Any, value: Any, time: int | None, now: int) -> None:
        """Store a value with a time. If that has come, the entry is gone for good."""
        self._put(key, value, time)
        if time is not None and time <= now:
            del self[canonical(key)]

    def _put(self, key: Any, value: Any, time: int | None) -> None:
        outer = self._outer(canonical(key))
        self.content.entries[outer] = copy.deepcopy(value)
        self.content.gone.pop(outer, None)
        self.content.times.pop(outer, None)
        if time is not None:
            self.content.times[outer] = time

    def time_of(self, key: Any) -> int | None:
        """When an entry expires; None if it does not."""
        return self.content.times.get(self._outer(canonical(key)))

    def gone(self) -> dict[Any, Any]:
        """The entries that have expired and were not stored again."""
        return {inner: value for key, (value, _) in self.content.gone.items() for inner in self._inner(key)}

    def drop_expired(self, now: int) -> None:
        """Remove the entries whose time has come."""
        content = self.content
        for outer in [outer for outer, time in content.times.items() if time <= now]:
            content.gone[outer] = content.entries.pop(outer), content.times.pop(outer)

    def take_back(self, now: int, exists: Callable[[Any, Any, int], bool]) -> None:
        """Put back what has not expired any more, if it exists: a function of the key, the value and the time."""
        content = self.content
        for outer, (value, time) in list(content.gone.items()):
            if time > now:
                del content.gone[outer]
                if exists(outer, value, time):
                    content.entries[outer], content.times[outer] = value, time

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
