"""Pickles that are harmless by their form, told at the speed of C: by regular expressions over their instructions.

In what they match, no tuple holds a tuple, nor anything else that the memo gives once more; so hashing is no work. No
large number is there, no large memo, and nothing is called but by name with scalars that are written out.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

__all__ = ["has_calls_of_scalars", "has_flat_tuples", "is_without_tuples", "openers"]

_LONG = {0x58: 4, 0x42: 4, 0x8D: 8, 0x8E: 8}  # instructions with text and bytes, and how wide their lengths are
_FRAME, _STOP = 0x95, 0x2E
_MOST_PARTS = 16  # of a tuple, which may be hashed again and again

Run = Callable[[bytes, int], "re.Match[bytes] | None"]


def openers(data: bytes) -> int:
    """At least as many as there are lists, dicts and sets in a pickle."""
    return len(data) - len(data.translate(None, b"]}ld\x8f"))


def is_without_tuples(data: bytes) -> bool:
    """Whether it makes lists, dicts and sets of scalars, and calls nothing."""
    return _is_all(data, _expressions()[0])


def has_flat_tuples(data: bytes) -> bool:
    """As :func:`is_without_tuples`, with small tuples of scalars."""
    return _is_all(data, _expressions()[1])


def has_calls_of_scalars(data: bytes) -> bool:
    """As :func:`has_flat_tuples`, with calls by name, and with instances of UUID right where their number is."""
    return _is_all(data, _expressions()[2])


def _is_all(data: bytes, run: Run) -> bool:
    if data[:1] != b"\x80":
        return False
    at, size = 2, len(data)
    while at < size:
        found = run(data, at)
        at = found.end() if found else at
        if at == size:
            return False
        code = data[at]
        if code == _STOP:
            return True
        if code == _FRAME:
            at += 9
        elif code in _LONG:
            at += 1 + _LONG[code]
            at += int.from_bytes(data[at - _LONG[code] : at], "little")
        else:
            return False
    return False


@functools.cache
def _expressions() -> tuple[Run, Run, Run]:
    """Compiled when the first larger pickle comes."""

    def sized(code: bytes, most: int) -> bytes:
        lengths = b"|".join(re.escape(bytes((size,))) + b".{%d}" % size for size in range(most + 1))
        return re.escape(code) + b"(?:" + lengths + b")"

    memo = rb"\x94?+"
    scalar = b"(?:%s|K.|G.{8}|M..|[N\x88\x89]|J.{4}|%s|%s)" % (sized(b"\x8c", 255), sized(b"C", 32), sized(b"\x8a", 64))
    filling = rb"[\]}(aesu\x94\x8f\x90]++|[hq].|j.{4}|r..\x00\x00"
    value = scalar + memo
    flat = (
        rb"\((?>(?:%(v)s){0,%(n)d})t|%(v)s(?:%(v)s(?:%(v)s\x87|\x86)|\x85)|(?:%(v)s)|\)"
        % {b"v": value, b"n": _MOST_PARTS}
    )  # fmt: skip
    number = rb"(?:\x8a(?:\x11.{16}\x00|\x10.{15}[\x00-\x7f])|K.|M..)"
    uuid = rb"\)%(m)s\x81%(m)s}%(m)s(?:\x8c\x03int%(m)s|h.)%(n)s%(m)ssb" % {b"m": memo, b"n": number}
    # Arguments that are used at once may hold what the memo gives, since what is called here takes no tuples.
    data = rb"C[\x04\x06\x0a](?:(?<=\x04).{4}|(?<=\x06).{6}|(?<=\x0a).{10})"
    call = rb"(?:h.%(d)s%(m)s(?:h.\x86|\x85)%(m)sR%(m)s)++|[\x85\x86\x87]%(m)sR" % {b"d": data, b"m": memo}
    return (
        re.compile(b"(?:%s|%s)*+" % (scalar, filling), re.DOTALL).match,
        re.compile(b"(?:%s|%s)*+" % (flat, filling), re.DOTALL).match,
        re.compile(b"(?:%s|%s|%s|%s|[\x93R])*+" % (call, uuid, flat, filling), re.DOTALL).match,
    )
