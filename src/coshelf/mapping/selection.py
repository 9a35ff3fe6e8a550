"""Which entries a view shows, and the scan that finds them. Its cost depends on the entries that it finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from coshelf.contract import Entry, Reader
from coshelf.errors import InvalidKey
from coshelf.keys import FOREIGN, shown
from coshelf.mapping.globs import Glob
from coshelf.mapping.namespace import Namespace, Range

__all__ = ["Selection", "select"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Ranges of encoded keys in the order of the keys, a glob, and a direction."""

    namespace: Namespace
    ranges: tuple[Range, ...]
    glob: Glob | None
    reverse: bool
    asked: tuple[Any, Any, Any] = (None, None, None)
    """The prefix, start and stop that it was made of, to show them."""

    def scan(self, reader: Reader, *, keys_only: bool = False) -> Iterator[tuple[Any, bytes, Entry | None]]:
        """Key, encoded key and entry of each match, all of one instant."""
        if self._is_plain():
            decode = self.namespace.decode
            start, stop = self.ranges[0]
            for encoded, entry in reader.scan(start, stop, reverse=self.reverse, keys_only=keys_only):
                yield decode(encoded), encoded, entry
            return
        with reader.instant() as instant:
            for start, stop in reversed(self.ranges) if self.reverse else self.ranges:
                yield from self._scan_range(instant, start, stop, keys_only)

    def keys(self, reader: Reader) -> Iterator[Any]:
        """Only the keys."""
        if self.glob is not None:
            return (key for key, _, _ in self.scan(reader, keys_only=True))
        keys = map(self.namespace.decode, chain.from_iterable(self._pages(reader, keys_only=True)))
        return keys if self._exact() else (key for key in keys if key is not FOREIGN)

    def pages(self, reader: Reader) -> Iterator[list[tuple[bytes, bytes]]] | None:
        """Encoded keys and records by pages, all of one instant; None if there is a glob.

        They include keys that are not of the namespace, which it decodes to :data:`coshelf.keys.FOREIGN`.
        """
        return None if self.glob is not None else self._pages(reader, keys_only=False)

    def _pages(self, reader: Reader, *, keys_only: bool) -> Iterator[list[Any]]:
        if len(self.ranges) != 1:
            return self._pages_of_ranges(reader, keys_only)
        start, stop = self.ranges[0]
        return (reader.key_pages if keys_only else reader.pages)(start, stop, reverse=self.reverse)

    def _pages_of_ranges(self, reader: Reader, keys_only: bool) -> Iterator[list[Any]]:
        with reader.instant() as instant:
            for start, stop in reversed(self.ranges) if self.reverse else self.ranges:
                yield from (instant.key_pages if keys_only else instant.pages)(start, stop, reverse=self.reverse)

    def _is_plain(self) -> bool:
        return self.glob is None and len(self.ranges) == 1 and not self.namespace.prefix

    def _scan_range(
        self, reader: Reader, start: bytes, stop: bytes, keys_only: bool
    ) -> Iterator[tuple[Any, bytes, Entry | None]]:
        rest: Range | None = (start, stop)
        while rest is not None:
            low, high = rest
            rest = None
            for encoded, entry in reader.scan(low, high, reverse=self.reverse, keys_only=keys_only):
                key = self.namespace.decode(encoded)
                if key is FOREIGN:
                    continue
                if self.glob is None or self.glob.matches(key):
                    yield key, encoded, entry
                    continue
                rest = self._leap(self.glob, key, low, high)
                if rest is not None:
                    break

    def _leap(self, glob: Glob, key: str, low: bytes, high: bytes) -> Range | None:
        """The rest of a range, without the keys around this one that cannot match."""
        dead = glob.dead_range(key)
        if dead is None:
            return None
        start, stop = dead
        if self.reverse:
            return low, max(low, self.namespace.encode(start))
        return (high if stop is None else min(high, self.namespace.encode(stop))), high

    def count(self, reader: Reader) -> int:
        """How many entries match."""
        if self.glob is None and self._exact():
            return sum(reader.count(start, stop) for start, stop in self.ranges)
        return sum(1 for _ in self.scan(reader, keys_only=True))

    def _exact(self) -> bool:
        exact = self.namespace.exact
        return all(exact[self.namespace.index(start)] for start, _ in self.ranges)

    def words(self) -> str:
        """The conditions, as they are given to ``keys()``; empty if there are none.

        >>> select(Namespace(), "soups/*", stop="soups/q", reverse=True).words()
        "'soups/*', stop='soups/q', reverse=True"
        """
        named = zip(("prefix", "start", "stop"), self.asked, strict=True)
        return ", ".join(
            [
                *([shown(self.glob.pattern)] if self.glob is not None else ()),
                *(f"{name}={shown(value)}" for name, value in named if value is not None),
                *(["reverse=True"] if self.reverse else ()),
            ]
        )

    def __contains__(self, key: Any) -> bool:
        """Whether an entry with this key would be shown."""
        try:
            encoded = self.namespace.encode(key)
        except InvalidKey:
            return False
        return any(start <= encoded < stop for start, stop in self.ranges) and (
            self.glob is None or self.glob.matches(key)
        )


def select(
    namespace: Namespace,
    glob: str | None = None,
    *,
    prefix: Any = None,
    start: Any = None,
    stop: Any = None,
    reverse: bool = False,
) -> Selection:
    """The selection for the arguments of ``keys()``, ``items()`` and ``values()``. Raises :class:`InvalidKey`."""
    ranges = namespace.between(
        None if start is None else namespace.encode(start), None if stop is None else namespace.encode(stop)
    )
    pattern = None if glob is None else Glob(glob)
    if prefix is not None:
        ranges = _cut(ranges, namespace.begin(prefix))
    if pattern is not None:
        literal, end = namespace.begin(pattern.literal)
        if pattern.is_literal:  # no wildcard: one key
            end = min(end, literal + b"\x00")
        ranges = _cut(ranges, (literal, end))
    return Selection(namespace, tuple(ranges), pattern, reverse, (prefix, start, stop))


def _cut(ranges: list[Range], by: Range) -> list[Range]:
    cut = [(max(start, by[0]), min(stop, by[1])) for start, stop in ranges]
    return [(start, stop) for start, stop in cut if start < stop]
