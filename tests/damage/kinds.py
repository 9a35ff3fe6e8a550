"""Kinds of damage, each a generator of damaged copies of a shelf's bytes."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from typing import NamedTuple

from shapes import Shape

__all__ = ["KINDS", "Damage", "header_bytes"]

PAGE = 4096
_HEADER = 16


class Damage(NamedTuple):
    """Where and how, and the file with it."""

    where: str
    content: bytes


def _with(whole: bytes, at: int, piece: bytes) -> bytes:
    return whole[:at] + piece + whole[at + len(piece) :]


def header_bytes(whole: bytes) -> list[int]:
    """Offsets of all bytes of page headers, pointers and node headers: what LMDB's structure is made of."""
    places = [*range(152), *range(PAGE, PAGE + 152)]
    page = 2
    while page * PAGE < len(whole):
        start = page * PAGE
        flags, lower, upper = struct.unpack_from("<HHH", whole, start + 10)
        places.extend(range(start, start + _HEADER))
        if flags & 3 and lower <= upper <= PAGE:
            pointers = struct.unpack_from(f"<{(lower - _HEADER) // 2}H", whole, start + _HEADER)
            places.extend(range(start + _HEADER, start + lower))
            for pointer in pointers:
                places.extend(range(start + pointer, start + pointer + 8))
                if flags & 2 and whole[start + pointer + 4] & 1:  # the number of an overflow page
                    size = int.from_bytes(whole[start + pointer + 6 : start + pointer + 8], "little")
                    places.extend(range(start + pointer + 8 + size, start + pointer + 16 + size))
            page += 1
        elif flags & 4:
            page += max(1, struct.unpack_from("<I", whole, start + 12)[0])
        else:
            page += 1
    return [place for place in places if place < len(whole)]


def _structure(shape: Shape, chance: random.Random) -> Iterator[Damage]:
    places = header_bytes(shape.whole)
    chance.shuffle(places)
    for at in places:
        bit = 1 << chance.randrange(8)
        yield Damage(f"byte {at} by {bit}", _with(shape.whole, at, bytes([shape.whole[at] ^ bit])))


def _every_bit(shape: Shape, chance: random.Random) -> Iterator[Damage]:
    for at in header_bytes(shape.whole):
        for bit in (1, 2, 4, 8, 16, 32, 64, 128):
            yield Damage(f"byte {at} by {bit}", _with(shape.whole, at, bytes([shape.whole[at] ^ bit])))


def _bits(shape: Shape, chance: random.Random) -> Iterator[Damage]:
    while True:
        at, bit = chance.randrange(len(shape.whole)), 1 << chance.randrange(8)
        yield Damage(f"byte {at} by {bit}", _with(shape.whole, at, bytes([shape.whole[at] ^ bit])))


def _regions(shape: Shape, chance: random.Random, fill: bytes) -> Iterator[Damage]:
    places = list(range(0, len(shape.whole), 64))
    chance.shuffle(places)
    for at in places:
        if shape.whole[at : at + 64] != fill * 64:
            yield Damage(f"64 bytes at {at}", _with(shape.whole, at, fill * 64))


def _zeros(shape: Shape, chance: random.Random) -> Iterator[Damage]:
    return _regions(shape, chance, b"\0")


def _ones(shape: Shape, chance: random.Random) -> Iterator[Damage]:
    return _regions(shape, chance, b"\xff")


def _page(whole: bytes, number: int) -> bytes:
    return whole[number * PAGE : (number + 1) * PAGE]


def _swaps(shape: Shape, chance: random.Random) -> Iterator[Damage]:
    pages = len(shape.whole) // PAGE
    while True:
        one, other = chance.randrange(pages), chance.randrange(pages)
        if _page(shape.whole, one) != _page(shape.whole, other):
            swapped = _with(shape.whole, one * PAGE, _page(shape.whole, other))
            yield Damage(f"pages {one}, {other}", _with(swapped, other * PAGE, _page(shape.whole, one)))


def _stale(shape: Shape, chance: random.Random) -> Iterator[Damage]:
    """A write that never reached the disk: a page as it was when the shelf was closed before."""
    pages = list(range(min(len(shape.before), len(shape.whole)) // PAGE))
    chance.shuffle(pages)
    for page in pages:
        if _page(shape.before, page) != _page(shape.whole, page):
            yield Damage(f"page {page}", _with(shape.whole, page * PAGE, _page(shape.before, page)))


def _blank_pages(shape: Shape, chance: random.Random) -> Iterator[Damage]:
    pages = list(range(len(shape.whole) // PAGE))
    chance.shuffle(pages)
    for page in pages:
        yield Damage(f"page {page}", _with(shape.whole, page * PAGE, bytes(PAGE)))


KINDS = {
    "structure": _structure,
    "every bit": _every_bit,
    "bits": _bits,
    "zeros": _zeros,
    "ones": _ones,
    "swaps": _swaps,
    "stale": _stale,
    "blank pages": _blank_pages,
}
