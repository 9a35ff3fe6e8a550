"""The tags of entries: the header in a record, and the index by tag. docs/format.md, "Tags".

A tag is kept in one form everywhere: its length in a byte, and its UTF-8. The header is the tags of the entry, one
after the other. A row of the index is the prefix, a tag, and the key of an entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from coshelf import records
from coshelf.errors import InvalidTag
from coshelf.keys import shown

__all__ = [
    "INDEX",
    "LARGEST",
    "MOST",
    "encoded_tag",
    "encoded_tags",
    "range_of",
    "row_key",
    "row_parts",
    "tags_in",
    "text_of",
    "texts_of",
    "with_tags",
]

INDEX: Final = (b"\x08", b"\x09")
"""The range of the rows of the index."""

LARGEST: Final = 255
"""The most bytes that a tag may have in UTF-8."""

MOST: Final = 100
"""The most tags that an entry may have."""

_TAG = bytes((records.HEADERED,))
_OLD = bytes((records.OLD_PICKLE,))


# --- the header ------------------------------------------------------------------------------------------------------


def with_tags(body: bytes, tags: tuple[bytes, ...]) -> bytes:
    """The body with the header of tags. ``body`` has neither tags nor a time."""
    if body[0] == records.HEADERED:
        rest = body[1:]
    else:
        rest = b"\0" + (body if body[0] == records.PICKLE else body[1:])
    return b"".join((_TAG, records.header(records.TAGS, b"".join(tags)), rest))


def tags_in(data: bytes) -> tuple[bytes, ...]:
    """The tags in the data of a header; none if it is malformed."""
    found, at = [], 0
    while at < len(data):
        end = at + 1 + data[at]
        if end > len(data) or end == at + 1:
            return ()
        found.append(data[at:end])
        at = end
    return tuple(found)


# --- the index -------------------------------------------------------------------------------------------------------


def row_key(tag: bytes, key: bytes) -> bytes:
    """The row of the index for a tag of the entry of a key."""
    return b"".join((INDEX[0], tag, key))


def row_parts(row: bytes) -> tuple[bytes, bytes]:
    """The tag and the key in a row of the index."""
    end = 2 + (row[1] if len(row) > 1 else 0)
    return row[1:end], row[end:]


def range_of(tag: bytes, start: bytes, stop: bytes) -> tuple[bytes, bytes]:
    """The range of the rows for a tag of the entries with ``start <= key < stop``."""
    return row_key(tag, start), row_key(tag, stop)


# --- what users give -------------------------------------------------------------------------------------------------


def encoded_tags(tags: Any) -> tuple[bytes, ...]:
    """The tags of a ``tags=``, each once, in the order of their bytes. Raises :class:`InvalidTag`.

    A str is one tag.
    """
    if isinstance(tags, str):
        return (encoded_tag(tags),)
    if not isinstance(tags, Iterable) or isinstance(tags, (bytes, bytearray)):
        raise InvalidTag(f"tags= is a str or several, not {type(tags).__name__} ({tags!r:.60})\n  hint: tags=('name',)")
    found = sorted({encoded_tag(tag) for tag in tags})
    if len(found) > MOST:
        raise InvalidTag(f"an entry has at most {MOST} tags, and these are {len(found):,}")
    return tuple(found)


def encoded_tag(tag: Any) -> bytes:
    """A tag as it is stored. Raises :class:`InvalidTag`."""
    if not isinstance(tag, str):
        raise InvalidTag(f"a tag is a str, not {type(tag).__name__} ({tag!r:.60})\n  hint: str() makes a text of it")
    data = str.encode(tag, "utf-8", "surrogatepass")
    if not 0 < len(data) <= LARGEST:
        raise InvalidTag(f"a tag has 1 to {LARGEST} bytes in UTF-8, and {shown(tag)} has {len(data):,}")
    return bytes((len(data),)) + data


def text_of(tag: bytes) -> str:
    """A tag as users give it."""
    return tag[1:].decode("utf-8", "surrogatepass")


def texts_of(tags: Iterable[bytes]) -> Iterator[str]:
    """The tags as users give them. What is not UTF-8, in a file that was crafted, is left out."""
    for tag in tags:
        try:
            yield text_of(tag)
        except UnicodeDecodeError:
            continue
