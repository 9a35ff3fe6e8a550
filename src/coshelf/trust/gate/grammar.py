"""Recognises pickles whose form is harmless, at the speed of C: by regular expressions over their instructions.

In a pickle that they match, no tuple holds a tuple, or a value that the memo gives again; so hashing takes little time.
It has no large number and no large memo. It calls only what it names, with scalars that are written out.
"""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Callable

__all__ = ["has_calls_of_scalars", "has_flat_tuples", "is_one_text", "is_without_tuples", "number_of_uuid", "openers"]

_LONG = {
    0x43: 1,
    0x58: 4,
    0x42: 4,
    0x8D: 8,
    0x8E: 8,
}  # text and bytes, and how wide their lengths are
_FRAME, _STOP, _MARK = 0x95, 0x2E, 0x28
_NUMBERS = {b"K": 2, b"M": 3, b"J": 5, b"G": 9}  # and how long each is
# A number of at most 128 bits that is not negative, and its bytes, the lowest first.
_NUMBER_OF_UUID = rb"\x8a(?:\x11.{16}\x00|%s)" % b"|".join(
    re.escape(bytes((size,))) + b".{%d}[\x00-\x7f]" % (size - 1) for size in range(1, 17)
)
_BATCH = 1000  # parts of a list that Python's pickler writes before it begins the next batch
_MOST_PARTS = 16  # of a tuple, which may be hashed again and again
_MANY = _MOST_PARTS + 1  # so many numbers in a row belong to a list
_FRAMED, _BARE = struct.Struct("<HBQBI").unpack_from, struct.Struct("<HBI").unpack_from
_PROTOCOLS, _TEXTS = (0x0480, 0x0580), (0x58, 0x42)

Run = Callable[[bytes, int], "re.Match[bytes] | None"]


def openers(data: bytes) -> int:
    """A number that is not smaller than that of the lists, dicts and sets in a pickle."""
    return len(data) - len(data.translate(None, b"]}ld\x8f"))


def is_one_text(data: bytes) -> bool:
    """Whether a pickle of more than 16 bytes is one str or bytes as Python's pickler writes it, and nothing else."""
    protocol, code, _, begin, length = _FRAMED(data)
    start = 16
    if code != _FRAME:
        protocol, begin, length = _BARE(data)
        start = 7
    return protocol in _PROTOCOLS and begin in _TEXTS and start + length + 2 == len(data) and data[-2:] == b"\x94."


def number_of_uuid(data: bytes) -> int | None:
    """The number of a UUID, if a pickle is that UUID as Python's pickler writes it and nothing else. Otherwise None."""
    found = _one_uuid()(data)
    return None if found is None else int.from_bytes(found[1][2:], "little")


def is_without_tuples(data: bytes) -> bool:
    """Whether a pickle makes only lists, dicts and sets of scalars, and calls nothing."""
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
        if at >= size:
            return False
        code = data[at]
        if code == _STOP:
            return True
        if code == _MARK:  # many numbers of one kind follow: the expression matches any other mark
            at = _end_of_numbers(data, at + 1)
        elif code == _FRAME:
            at += 9
        elif code in _LONG:
            at += 1 + _LONG[code]
            at += int.from_bytes(data[at - _LONG[code] : at], "little")
        else:
            return False
    return False


def _end_of_numbers(data: bytes, at: int) -> int:
    """Where the numbers that begin here end. Those of one kind are equally long, so one slice shows their count."""
    count = _MANY
    while count >= _MANY and (kind := _NUMBERS.get(data[at : at + 1])):
        codes = data[at : at + kind * _BATCH : kind]
        count = len(codes) - len(codes.lstrip(codes[:1]))
        at += kind * count
    return at


@functools.cache
def _one_uuid() -> Callable[[bytes], re.Match[bytes] | None]:
    written = rb"\x80[\x04\x05]\x95.{8}\x8c\x04uuid\x94\x8c\x04UUID\x94\x93\x94\)\x81\x94}\x94\x8c\x03int\x94%ssb\."
    return re.compile(written % (b"(%s)" % _NUMBER_OF_UUID), re.DOTALL).fullmatch


@functools.cache
def _expressions() -> tuple[Run, Run, Run]:
    """The compiled expressions. They are compiled for the first larger pickle."""

    def sized(code: bytes, most: int) -> bytes:
        lengths = b"|".join(re.escape(bytes((size,))) + b".{%d}" % size for size in range(most + 1))
        return re.escape(code) + b"(?:" + lengths + b")"

    # Each is one list of alternatives with different first bytes. Groups within groups would take twice as long.
    memo = rb"\x94?+"
    text, blob, number = sized(b"\x8c", 255), sized(b"C", 32), sized(b"\x8a", 64)
    scalar = b"|".join((text + memo, b"[N\x88\x89]++", b"K.", b"G.{8}", b"M..", b"J.{4}", blob + memo, number + memo))
    value = b"(?:" + b"|".join((text, b"[N\x88\x89]", b"K.", b"G.{8}", b"M..", b"J.{4}", blob, number)) + b")" + memo
    # Many numbers in a row are left to slices.
    not_many = b"(?!%s)" % b"|".join(b"(?:%s){%d}" % (one, _MANY) for one in (rb"K.", rb"M..", rb"J.{4}", rb"G.{8}"))
    mark = rb"\(" + not_many
    filling = rb"[\]}aesu\x94\x8f\x90]++|q.|j.{4}|r..\x00\x00"
    plain = b"|".join((rb"h.(?:K.|G.{8}|M..|[N\x88\x89])?+", scalar, mark, filling))
    # A tuple comes right after its parts: the run of values before it has at least as many.
    parts = {b"v": value, b"mark": mark, b"rest": _MOST_PARTS - 3}
    tuples = (
        rb"%(v)s(?:%(v)s(?:(?:%(v)s)++[\x85\x86\x87]?+|[\x85\x86]?+)|\x85?+)"
        rb"|%(mark)s(?:t|%(v)s(?:%(v)s(?:%(v)s(?:%(v)s){0,%(rest)d}+[t\x85\x86\x87]?+|[t\x85\x86]?+)|[t\x85]?+))?+|\)"
    ) % parts
    flat = b"|".join((tuples, b"h.", filling))
    uuid_number = rb"(?:%s|K.|M..|J.{3}[\x00-\x7f])" % _NUMBER_OF_UUID
    key = rb"(?:\x8c\x03int" + memo + rb"|h.)"
    uuid = rb"\)%(m)s\x81%(m)s}%(m)s%(key)s%(n)s%(m)ssb" % {b"m": memo, b"key": key, b"n": uuid_number}
    # Arguments that are used at once may hold a value from the memo, because nothing that is called here takes tuples.
    data = rb"C[\x04\x06\x0a](?:(?<=\x04).{4}|(?<=\x06).{6}|(?<=\x0a).{10})"
    call = rb"(?:h.%(d)s%(m)s(?:h.\x86|\x85)%(m)sR%(m)s)++|[\x85\x86\x87]%(m)sR" % {b"d": data, b"m": memo}
    forms = (plain, flat, b"|".join((call, uuid, flat, rb"[\x93R]")))
    first, second, third = (re.compile(b"(?:%s)*+" % form, re.DOTALL).match for form in forms)
    return first, second, third
