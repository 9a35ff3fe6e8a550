"""Which entries have a tag: the view of their keys, and the look-up behind it. docs/design.md, "Tags"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, KeysView
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from coshelf.contract import Capabilities, Reader
from coshelf.errors import InvalidKey, Unsupported
from coshelf.keys import FOREIGN, shown
from coshelf.mapping.living import living_record
from coshelf.mapping.namespace import Namespace
from coshelf.mapping.showing import ShownView
from coshelf.values.envelope import carries
from coshelf.values.expiry import is_over
from coshelf.values.tags import encoded_tag, encoded_tags, range_of, row_parts, text_of

if TYPE_CHECKING:
    from coshelf.mapping.glance import Glance

__all__ = ["TaggedKeys", "Tags", "marked_entries", "usable_tag", "usable_tags"]

K = TypeVar("K")

Tags = Iterable[str]
"""What ``tags=`` may be: several str. One str alone is one tag."""

_FIRST_READ = 16  # entries that are read together at first; a caller may need only the first key
_MOST_READ = 256  # and at most, because their values may be large


def usable_tags(tags: Any, capabilities: Capabilities, engine: str) -> tuple[bytes, ...]:
    """The tags of a ``tags=`` as they are stored. Raises :class:`InvalidTag` and :class:`Unsupported`."""
    found = encoded_tags(tags)
    if found and not capabilities.tags:
        raise _unsupported(engine)
    return found


def usable_tag(tag: Any, capabilities: Capabilities, engine: str) -> bytes:
    """A tag that is looked for, as it is stored. Raises :class:`InvalidTag` and :class:`Unsupported`."""
    found = encoded_tag(tag)
    if not capabilities.tags:
        raise _unsupported(engine)
    return found


def _unsupported(engine: str) -> Unsupported:
    return Unsupported(
        f"entries of the {engine} engine cannot have tags\n"
        "  hint: use a file of the lmdb engine, sqlite:, memory: or a mapping; require='tags' at opening makes sure"
    )


def marked_entries(
    reader: Reader, tag: bytes, start: bytes, stop: bytes, *, reverse: bool = False
) -> Iterator[tuple[bytes, bytes | None]]:
    """The keys in the index for a tag with ``start <= key < stop``, in order, each with the record of its entry.

    The record is None if the entry is missing or does not have the tag any more. The reader should show one instant.
    """
    rows = reader.scan(*range_of(tag, start, stop), reverse=reverse, keys_only=True)
    size = _FIRST_READ
    while keys := [row_parts(row)[1] for row, _ in islice(rows, size)]:
        for key, entry in zip(keys, reader.get_many(keys), strict=True):
            yield key, entry.record if entry is not None and carries(entry.record, tag) else None
        size = _MOST_READ


class TaggedKeys(ShownView, KeysView[K]):
    """The keys of the entries that have a tag, with the operations of a set. Each use looks them up.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> shelf.update({"a": 1, "b": 2}, tags=("new",))
    >>> list(shelf.tagged("new") - {"a"})
    ['b']
    """

    _shows_values = False

    def __init__(
        self,
        reader: Callable[[], Reader],
        now: Callable[[], int],
        namespace: Namespace,
        tag: bytes,
        glance: Callable[[], Glance],
    ) -> None:
        """Args: what gives the shelf's reader, the time, its keys, the tag as it is stored, what is shown of it."""
        self._reader = reader
        self._now = now
        self._namespace = namespace
        self._tag = tag
        self._whole = glance

    def __iter__(self) -> Iterator[K]:
        return self._keys(reverse=False)

    def __reversed__(self) -> Iterator[K]:
        return self._keys(reverse=True)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return any(True for _ in self)

    def __contains__(self, key: object) -> bool:
        try:
            encoded = self._namespace.encode(key)
        except InvalidKey:
            hash(key)
            return False
        record = living_record(encoded, self._reader(), self._now)
        return record is not None and carries(record, self._tag)

    def _glance(self) -> Glance:
        def keys(reader: Reader, start: bytes, stop: bytes) -> Iterator[bytes]:
            for encoded, record in marked_entries(reader, self._tag, start, stop):
                if record is not None and not is_over(encoded, record, self._now()):
                    yield encoded

        kind = f"{type(self).__name__}({shown(text_of(self._tag))}) of"
        return self._whole().as_kind(kind, keys_only=True, keys_of=keys)

    def _keys(self, *, reverse: bool) -> Iterator[K]:
        found = self._found(reverse)
        next(found)  # the instant is that of this call
        return found  # type: ignore[return-value]

    def _found(self, reverse: bool) -> Iterator[K | None]:
        ranges = self._namespace.ranges
        with self._reader().instant() as instant:
            yield None
            for start, stop in reversed(ranges) if reverse else ranges:
                for encoded, record in marked_entries(instant, self._tag, start, stop, reverse=reverse):
                    if record is None or is_over(encoded, record, self._now()):
                        continue
                    key = self._namespace.decode(encoded)
                    if key is not FOREIGN:
                        yield key
