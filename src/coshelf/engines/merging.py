"""Two sorted streams of entries as one."""

from __future__ import annotations

from collections.abc import Iterator

from coshelf.contract import Entry

__all__ = ["merge"]

_Row = tuple[bytes, Entry | None]


def merge(left: Iterator[_Row], right: Iterator[_Row], reverse: bool) -> Iterator[_Row]:
    """The entries of two sorted streams without common keys, in order."""
    first, second = next(left, None), next(right, None)
    while first is not None and second is not None:
        if (first[0] > second[0]) if reverse else (first[0] < second[0]):
            yield first
            first = next(left, None)
        else:
            yield second
            second = next(right, None)
    if first is not None:
        yield first
        yield from left
    if second is not None:
        yield second
        yield from right
