r"""Entries as JSON, one a line: ``{"key": ..., "value": ...}`` or ``{"key": ..., "pickle": "<base64>"}``.

A str key is a JSON string, None is null, a number a number; bytes are ``{"bytes": "<base64>"}``, a tuple is a list,
and what JSON has no number for is ``{"number": "<hex>"}`` (very long ints) or ``{"number": "inf"}``.

An entry that expires has ``"expires"``, in seconds since 1970, and an entry with tags has ``"tags"``, a list.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from coshelf.keys import shown
from coshelf.system import clock
from coshelf.transfer.pickles import entry, pickled
from coshelf.transfer.report import Left
from coshelf.transfer.source import Skipped, Source, SourceEntry, SourceError, SourceOptions
from coshelf.values.envelope import NOTHING, Envelope
from coshelf.values.repetition import is_repetitive
from coshelf.values.tags import encoded_tags, texts_of

__all__ = ["JsonLinesSource", "key_notation", "line_of", "same_in_json"]

_OPTIONAL = {"expires", "tags"}
_LATEST = (1 << 63) // 1_000_000  # seconds
_LONGEST_INT = 10**1000  # Python refuses to read numbers that are much longer


class JsonLinesSource(Source):
    """A file of JSON lines; "-" is standard input."""

    kind = "jsonl"

    def __init__(self, path: str, options: SourceOptions) -> None:
        try:
            # UTF-8 whatever the locale says. Standard input stays open.
            self._lines = open(0 if path == "-" else path, encoding="utf-8", closefd=path != "-")  # noqa: SIM115
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error

    def entries(self) -> Iterator[SourceEntry | Left]:
        number = 0
        while True:
            number += 1
            try:
                line = self._lines.readline()
            except UnicodeDecodeError as error:
                yield Left(f"line {number} and all later lines", f"not UTF-8: {error.reason}")
                return
            if not line:
                return
            if line.strip():
                yield _parsed(line, number)

    def close(self) -> None:
        self._lines.close()


def _parsed(line: str, number: int) -> SourceEntry | Left:
    try:
        found = json.loads(line)
        if not isinstance(found, dict) or set(found) - _OPTIONAL not in ({"key", "value"}, {"key", "pickle"}):
            raise ValueError('it is not {"key": ..., "value": ...} or {"key": ..., "pickle": "..."}')
        key = _key(found["key"])
        envelope = _envelope(found)
        if envelope.time is not None and envelope.time <= clock.now():
            return Skipped(shown(key), "it expired")
        if "value" in found:
            return SourceEntry(key, pickled(found["value"]), envelope)
        read = entry(key, base64.b64decode(found["pickle"], validate=True))
        return read if isinstance(read, Left) else replace(read, envelope=envelope)
    except (ValueError, TypeError, RecursionError) as error:
        return Left(f"line {number}", str(error))


def _envelope(found: dict[str, Any]) -> Envelope:
    """The time and tags in a line. Raises ValueError."""
    expires, tags = found.get("expires"), found.get("tags", [])
    if expires is not None and (type(expires) not in (int, float) or not abs(expires) < _LATEST):
        raise ValueError(f"{expires!r:.60} is not a time in seconds")
    if type(tags) is not list:
        raise ValueError(f"{tags!r:.60} is not a list of tags")
    return Envelope(None if expires is None else round(expires * 1_000_000), encoded_tags(tags))


def line_of(key: Any, *, pickle: bytes | None = None, value: Any = None, envelope: Envelope = NOTHING) -> str:
    """The line of an entry."""
    line = {"key": key_notation(key)}
    line |= {"value": value} if pickle is None else {"pickle": base64.b64encode(pickle).decode()}
    if envelope.time is not None:
        line["expires"] = envelope.time / 1_000_000
    if envelope.tags:
        line["tags"] = list(texts_of(envelope.tags))
    return json.dumps(line) + "\n"


def key_notation(key: Any) -> Any:
    """A key in the notation for JSON."""
    if isinstance(key, tuple):
        return [key_notation(part) for part in key]
    if isinstance(key, bytes):
        return {"bytes": base64.b64encode(key).decode()}
    if isinstance(key, float) and not math.isfinite(key):
        return {"number": repr(key)}
    if isinstance(key, int) and abs(key) >= _LONGEST_INT:
        return {"number": hex(key)}
    return key


def _key(notation: Any) -> Any:
    if isinstance(notation, list):
        return tuple(_key(part) for part in notation)
    if isinstance(notation, dict):
        if set(notation) == {"bytes"}:
            return base64.b64decode(notation["bytes"], validate=True)
        if set(notation) == {"number"} and isinstance(notation["number"], str):
            text = notation["number"]
            return int(text, 16) if "x" in text else float(text)
        raise ValueError(f"{notation!r} is not the notation of a key")
    return notation


def same_in_json(value: Any) -> bool:
    """Whether JSON returns exactly this value, with the same types in all parts. Its text is not endless."""
    return not is_repetitive(value) and _is_same(value)


def _is_same(value: Any) -> bool:
    if value is None or type(value) in (bool, str, int):
        return type(value) is not int or abs(value) < _LONGEST_INT
    if type(value) is float:
        return math.isfinite(value)
    if type(value) is list:
        return all(_is_same(part) for part in value)
    if type(value) is dict:
        return all(type(name) is str and _is_same(part) for name, part in value.items())
    return False
