"""Short functions that put and read entries. Values are objects, and keys are ``A`` to ``E``."""

from __future__ import annotations

import pickle
from collections.abc import Generator, Mapping
from typing import Any, cast

from coshelf.contract import Absent, Batch, Engine, Entry, Exclusive, Reader
from coshelf.errors import Conflict
from coshelf.keys import FIRST, LAST, encode

__all__ = ["A", "B", "C", "D", "E", "body", "conflicts", "contents", "loaded", "put", "scanning", "versions"]

A, B, C, D, E = (encode(letter) for letter in "abcde")


def body(value: object) -> bytes:
    """The body of a record: the bytes that :class:`coshelf.Shelf` would pass to an engine for this value."""
    return pickle.dumps(value, 4)


def loaded(entry: Entry | None) -> Any:
    """The value of an entry that must exist."""
    assert entry is not None
    return pickle.loads(entry.record)


def put(engine: Engine | Exclusive, entries: Mapping[bytes, object]) -> int | str:
    """Commit values under keys, and return the version."""
    return engine.commit(Batch(puts={key: body(value) for key, value in entries.items()}))


def contents(
    reader: Reader, start: bytes = FIRST, stop: bytes = LAST, *, reverse: bool = False
) -> list[tuple[bytes, Any]]:
    """Keys and values of a range."""
    return [(key, loaded(entry)) for key, entry in reader.scan(start, stop, reverse=reverse)]


def versions(reader: Reader) -> dict[bytes, int | str]:
    """The version of each entry."""
    return {key: entry.version for key, entry in reader.scan(FIRST, LAST) if entry is not None}


def conflicts(engine: Engine | Exclusive, checks: Mapping[bytes, int | str | Absent]) -> list[bytes]:
    """The keys that conflict in a commit of checks alone, sorted."""
    try:
        engine.commit(Batch(checks=checks))
    except Conflict as conflict:
        return sorted(conflict.keys)
    return []


def scanning(
    reader: Reader, start: bytes = FIRST, stop: bytes = LAST, *, reverse: bool = False, keys_only: bool = False
) -> Generator[tuple[bytes, Entry | None], None, None]:
    """A scan with the ``close()`` that the contract demands, like that of a generator. Its type leaves it out."""
    scan = reader.scan(start, stop, reverse=reverse, keys_only=keys_only)
    return cast("Generator[tuple[bytes, Entry | None], None, None]", scan)
