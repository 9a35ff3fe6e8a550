"""Rows that are pickles of bytes, because the files engine keeps pickles alone. They are never unpickled."""

from __future__ import annotations

import json
from typing import Any

from coshelf.records import TRAILER

__all__ = ["content_of", "packed", "told_bytes", "unpacked", "with_length"]

_HEAD = b"\x80\x03B"
_LENGTH = 4


def told_bytes(told: dict[str, Any]) -> bytes:
    """What a row tells, as the bytes before its content: JSON with its length."""
    return with_length(json.dumps(told, separators=(",", ":")).encode("ascii"))


def with_length(text: bytes) -> bytes:
    """JSON with its length."""
    return len(text).to_bytes(_LENGTH, "little") + text


def packed(told: bytes, content: bytes = b"") -> bytes:
    """The body of a row, from what :func:`told_bytes` made and its content."""
    return b"".join((_HEAD, (len(told) + len(content)).to_bytes(_LENGTH, "little"), told, content, b"."))


def unpacked(record: bytes) -> tuple[dict[str, Any], bytes]:
    """What a row tells, and its content. Raises ValueError or TypeError for a record that no
    call of :func:`packed` made.
    """
    begin = len(_HEAD) + _LENGTH
    at = begin + _LENGTH
    end = at + int.from_bytes(record[begin:at], "little")
    if record[: len(_HEAD)] != _HEAD or end > len(record) - TRAILER - 1:
        raise ValueError("it is not a row of a queue or deque")
    told: dict[str, Any] = dict(json.loads(record[at:end]))
    return told, record[end : -TRAILER - 1]


def content_of(record: bytes) -> bytes:
    """The content of a row that tells nothing else. Raises ValueError as :func:`unpacked`."""
    if record[: len(_HEAD)] != _HEAD:
        raise ValueError("it is not a row of a deque")
    return record[len(_HEAD) + _LENGTH : -TRAILER - 1]
