"""What takes the space in a part of a shelf: its branches and keys by size, found within a limit of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from coshelf.contract import Reader
from coshelf.errors import DamagedRecord
from coshelf.values.blobs import size_of

__all__ = ["Place", "Size", "Sizes", "largest", "measured"]

_SECONDS: Final = 0.6
_SAMPLE: Final = 500  # entries of a branch that are read before the rest is estimated


@dataclass(frozen=True, slots=True)
class Place:
    """A range of keys that is measured as one.

    Attributes:
        name: what it is called.
        start: the first bytes of keys in it.
        stop: the first bytes of keys behind it.
        address: the address of its page.
        is_branch: whether it can have more than one key.
    """

    name: str
    start: bytes
    stop: bytes
    address: str
    is_branch: bool


@dataclass(frozen=True, slots=True)
class Size:
    """A place with its size.

    Attributes:
        name: as of the place.
        address: as of the place; empty if it has no page.
        is_branch: as of the place.
        entries: the number of its entries.
        bytes: of their encoded keys, records and large buffers.
        is_exact: whether the bytes were counted. If not, they are estimated from a part of the entries.
    """

    name: str
    address: str
    is_branch: bool
    entries: int
    bytes: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes, the largest first.

    Attributes:
        sizes: of the places that were measured.
        is_whole: whether all places were measured before the time was over.
    """

    sizes: tuple[Size, ...]
    is_whole: bool

    @property
    def bytes(self) -> int:
        """The bytes of all that was measured."""
        return sum(size.bytes for size in self.sizes)

    @property
    def entries(self) -> int:
        """The entries of all that was measured."""
        return sum(size.entries for size in self.sizes)


def measured(
    reader: Reader,
    places: Iterable[Place],
    *,
    other_keys: int = 0,
    seconds: float = _SECONDS,
    sample: int = _SAMPLE,
    clock: Callable[[], float] = time.monotonic,
) -> Sizes:
    """The sizes of places. The first one is always measured, and the last ones are left out if the time is over.

    Args:
        reader: where the entries are read.
        places: branches and keys, in the order in which they are measured.
        other_keys: how many more keys there are. Their size is estimated from that of the keys among ``places``.
        seconds: the limit of time.
        sample: how many entries of a branch are read. If it has more, they are counted, and their bytes estimated.
        clock: tells the seconds.
    """
    end = clock() + seconds
    found: list[Size] = []
    is_whole = True
    for place in places:
        if found and clock() >= end:
            is_whole = False
            break
        try:
            found.append(_measure(reader, place, sample))
        except DamagedRecord:  # the others can be measured
            is_whole = False
    keys = [size.bytes for size in found if not size.is_branch]
    if other_keys and keys:
        name = f"{other_keys:,} other keys"
        size = sum(keys) * other_keys // len(keys)
        found.append(Size(name, "", is_branch=False, entries=other_keys, bytes=size, is_exact=False))
    return Sizes(_sorted([size for size in found if size.entries]), is_whole)


def largest(sizes: Sizes, most: int) -> list[Size]:
    """The largest ones. If there are more than ``most``, the last of the result is all others together."""
    if len(sizes.sizes) <= most:
        return list(sizes.sizes)
    kept, others = sizes.sizes[: most - 1], sizes.sizes[most - 1 :]
    entries, size = sum(each.entries for each in others), sum(each.bytes for each in others)
    is_exact = all(each.is_exact for each in others)
    return [*kept, Size(f"{len(others):,} others", "", is_branch=False, entries=entries, bytes=size, is_exact=is_exact)]


def _sorted(found: list[Size]) -> tuple[Size, ...]:
    return tuple(sorted(found, key=lambda size: (-size.bytes, size.name)))


def _measure(reader: Reader, place: Place, sample: int) -> Size:
    entries, size = 0, 0
    pages = reader.pages(place.start, place.stop)
    for page in pages:
        for key, record in page:
            entries += 1
            size += len(key) + size_of(record)
        if entries >= sample:
            break
    else:
        return Size(place.name, place.address, place.is_branch, entries, size, is_exact=True)
    count = max(reader.count(place.start, place.stop), entries)
    return Size(place.name, place.address, place.is_branch, count, size * count // entries, is_exact=count == entries)
