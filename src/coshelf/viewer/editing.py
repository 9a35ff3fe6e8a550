"""Changes that a person makes in a page: each checks that the entry is still the one that the page showed."""

from __future__ import annotations

import json
import math
import secrets
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

from coshelf import records
from coshelf.contract import ABSENT, Absent, Batch
from coshelf.errors import Conflict
from coshelf.keys import encode
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction
from coshelf.transfer.records_apart import Apart, take_apart
from coshelf.values.envelope import rows_of, with_rows
from coshelf.viewer.texts import cut

__all__ = ["NEW", "Changed", "Editing", "value_of_text", "version_in_words"]

NEW = ""
"""In place of a version: the entry must not exist."""

_KEPT = 20  # deleted entries that can be brought back
_KEPT_SIZE = 512 << 20  # bytes of them


class Changed(Exception):
    """The entry is not the one that the page showed. Nothing was stored."""


def version_in_words(version: int | str | None) -> str:
    """A version as forms have it, so that an int and a str never look alike."""
    return f"{type(version).__name__} {version}"


def value_of_text(form: str, text: str) -> Any:
    """The value for a text that was edited. Raises ValueError."""
    if form == "text":
        # A browser sends line ends as CRLF, whatever they were.
        return text.replace("\r\n", "\n")
    if form != "json":
        raise ValueError("a value is edited as text or as JSON")
    try:
        return json.loads(
            text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_without_repetition
        )
    except RecursionError:
        raise ValueError("it nests too deep") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large for a float")
    return number


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict, for which JSON would silently take the last value of each name."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"an object has the name {json.dumps(cut(twice))} more than once")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not valid JSON")


@dataclass(frozen=True)
class _Deleted:
    encoded: bytes
    apart: Apart


class Editing:
    """The changes that the pages of one viewer make to a shelf."""

    def __init__(self, shelf: Shelf[Any, Any]) -> None:
        self._shelf = shelf
        self._deleted: dict[str, _Deleted] = {}
        self._lock = threading.Lock()

    def store(self, key: Any, value: Any, version: str) -> None:
        """Store a value, if the entry still has a version. It keeps its time and tags.

        Raises :class:`Changed`, and what storing raises.
        """
        encode(key)

        def step(transaction: Transaction[Any, Any]) -> None:
            try:
                before = transaction.record(key)
            except KeyError:
                before = None
            if (NEW if before is None else version_in_words(before.version)) != version:
                raise Changed
            if before is None or not before.is_intact:
                transaction[key] = value
            else:
                # Unlike modify(), this does not load the old value. That could run code, and can fail in any way.
                transaction._overwrite(key, value)  # noqa: SLF001

        self._shelf.transact(step)

    def delete(self, encoded: bytes, version: str) -> str:
        """Delete an entry, if it still has a version. Returns a name with which :meth:`restore` brings it back.

        Raises :class:`Changed`, and what deleting raises.
        """
        engine = self._shelf.engine_for("delete", writing=True)
        entry = engine.get(encoded)
        if entry is None or version_in_words(entry.version) != version:
            raise Changed
        kept = _Deleted(encoded, take_apart(encoded, entry.record, engine.blobs)) if _is_whole(encoded, entry) else None
        self._commit(
            Batch(deletes=frozenset((encoded, *rows_of(encoded, entry.record))), checks={encoded: entry.version})
        )
        return "" if kept is None else self._keep(kept)

    def restore(self, name: str) -> bytes:
        """Bring a deleted entry back, byte for byte with its time and tags. Returns the bytes of its key.

        Raises :class:`Changed` if another entry has been stored under its key meanwhile, and LookupError if it is not
        kept any more.
        """
        engine = self._shelf.engine_for("restore", writing=True)
        with self._lock:
            found = self._deleted[name]
        body = found.apart.body(found.encoded, engine.blobs)
        absent: Absent = ABSENT
        self._commit(Batch(puts=with_rows({found.encoded: body}), checks={found.encoded: absent}))
        with self._lock:
            self._deleted.pop(name, None)
        return found.encoded

    def key_of_deleted(self, name: str) -> bytes | None:
        """The bytes of the key of a deleted entry that can be brought back; None if it is not kept."""
        with self._lock:
            found = self._deleted.get(name)
        return None if found is None else found.encoded

    def _keep(self, deleted: _Deleted) -> str:
        name = secrets.token_urlsafe(9)
        with self._lock:
            self._deleted[name] = deleted
            while len(self._deleted) > _KEPT or self._kept_size() > _KEPT_SIZE:
                del self._deleted[next(iter(self._deleted))]
        return name

    def _kept_size(self) -> int:
        return sum(each.apart.size for each in self._deleted.values())

    def _commit(self, batch: Batch) -> None:
        try:
            self._shelf.engine_for("viewer", writing=True).commit(batch)
        except Conflict:
            raise Changed from None


def _is_whole(encoded: bytes, entry: Any) -> bool:
    """Whether a record can be brought back: one that was damaged on disk cannot."""
    return records.is_intact(encoded, entry.record)
