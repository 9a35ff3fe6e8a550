"""A row of a list for each entry: type, size and the beginning of the value. Nothing is unpickled."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from coshelf import records
from coshelf.cli.key_text import text_of_key
from coshelf.contract import Entry, Reader
from coshelf.errors import DamagedRecord
from coshelf.inspection.preview import preview_of
from coshelf.screen import plain
from coshelf.values.envelope import envelope_of
from coshelf.viewer.keys.addresses import address_of, shown_bytes
from coshelf.viewer.keys.branches import Branch, Child
from coshelf.viewer.sizes import in_words
from coshelf.viewer.texts import cut

__all__ = ["Row", "rows_of", "rows_of_keys"]

_LENGTH = 80  # characters of a value
_STEPS, _FEW_STEPS = 3_000, 100  # of a preview: while a list has taken little time, and then
_QUICK = 0.08  # seconds
_FIRST, _TOGETHER = 4, 50  # entries that are read at once, at first and later
_LARGEST = 8 << 20  # bytes that are read at once, as far as the entries before tell
_NAME = 300  # characters
_VERIFIED = 1 << 20  # bytes: the checksum of a larger record is verified on its own page


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a list.

    Attributes:
        address: of the key, or of the branch.
        name: what the list calls it.
        is_branch: whether it is a branch.
        type: the type of the value; empty for a branch.
        size: bytes of the entry; None for a branch.
        words: the size in words.
        text: the beginning of the value.
        problem: what is wrong with the entry; None if nothing is known to be.
        expires: whether it expires.
        entries: the number of entries of a branch, in words, as far as it is known.
    """

    address: str
    name: str
    is_branch: bool
    type: str = ""
    size: int | None = None
    words: str = ""
    text: str = ""
    problem: str | None = None
    expires: bool = False
    entries: str = ""

    def as_dict(self) -> dict[str, Any]:
        """All attributes, for JSON."""
        return asdict(self)


def rows_of(reader: Reader, found: Sequence[Child], outer: Branch) -> list[Row]:
    """The rows of the keys and branches in a branch. A key that was deleted meanwhile has none."""
    keys = [child.key for child in found if child.branch is None]
    entries = dict(zip(keys, _entries(reader, keys), strict=True))
    rows, steps = [], _Steps()
    for child in found:
        name = cut(child.name(outer), _NAME)
        if child.branch is not None:
            rows.append(Row(child.branch.address, name, is_branch=True))
        elif (entry := entries[child.key]) is not None:
            rows.append(_row(child.key, name, entry, steps.allowed))
    return rows


def rows_of_keys(reader: Reader, keys: Sequence[bytes]) -> list[Row]:
    """The rows of keys from anywhere, with their whole names."""
    entries, steps = zip(keys, _entries(reader, keys), strict=True), _Steps()
    return [_row(key, _whole_name(key), entry, steps.allowed) for key, entry in entries if entry is not None]


class _Steps:
    """How many instructions a preview may follow, so that a list of large values does not take long."""

    def __init__(self) -> None:
        self._end = time.monotonic() + _QUICK

    @property
    def allowed(self) -> int:
        return _STEPS if time.monotonic() < self._end else _FEW_STEPS


def _whole_name(encoded: bytes) -> str:
    return cut(text_of_key(shown_bytes(encoded)), _NAME)


def _entries(reader: Reader, keys: Sequence[bytes]) -> Iterator[Entry | str | None]:
    """The entries of keys; an error in words if one cannot be read, and None if it does not exist."""
    at, count = 0, _FIRST
    while at < len(keys):
        some = list(keys[at : at + count])
        found: list[Entry | str | None]
        try:
            found = list(reader.get_many(some))
        except DamagedRecord:  # one of them: the others are read one by one
            found = list(_singly(reader, some))
        yield from found
        at += count
        largest = max((len(each.record) for each in found if isinstance(each, Entry)), default=0)
        count = max(1, min(_TOGETHER, count * 4, _LARGEST // (largest + 1)))


def _singly(reader: Reader, keys: Iterable[bytes]) -> Iterator[Entry | str | None]:
    for key in keys:
        try:
            yield reader.get(key)
        except DamagedRecord as error:
            yield str(error).splitlines()[0]


def _row(encoded: bytes, name: str, entry: Entry | str, steps: int) -> Row:
    address = address_of(encoded)
    if isinstance(entry, str):
        return Row(address, name, is_branch=False, type="damaged", problem=plain(entry))
    record = entry.record
    if len(record) <= _VERIFIED and not records.is_intact(encoded, record):
        problem = f"its {len(record):,} bytes do not match their checksum"
        return Row(address, name, False, "damaged", len(record), in_words(len(record)), problem=problem)
    found = preview_of(record, length=_LENGTH, steps=steps)
    expires = envelope_of(record).time is not None
    text = found.text
    if found.problem is not None:
        text = found.problem if text == "?" else f"{text} …"
    return Row(address, name, False, found.type, found.size, in_words(found.size), text, None, expires)
