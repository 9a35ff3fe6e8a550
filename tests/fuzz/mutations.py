"""Mutated inputs: the same for the same seed and number."""

from __future__ import annotations

import pickletools
import random
import struct

import samples

__all__ = ["mutated_file", "mutated_key", "mutated_layered", "mutated_pickle", "mutated_timed"]

_INTERESTING = [
    0,
    1,
    2,
    7,
    8,
    16,
    127,
    128,
    255,
    256,
    4095,
    4096,
    32767,
    65535,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
]
_NAMES = [
    *(b"os\nsystem\n", b"builtins\neval\n", b"builtins\ngetattr\n", b"nt\nsystem\n", b"posix\nsystem\n"),
    *(b"__builtin__\nexecfile\n", b"datetime\ndatetime.now\n", b"builtins\nobject.__init__.__globals__\n"),
    *(b"functools\npartial\n", b"operator\nattrgetter\n", b"copyreg\n_reconstructor\n", b"copyreg\n__newobj__\n"),
    *(b"numpy._core.multiarray\n_reconstruct\n", b"numpy\ndtype\n", b"collections\nOrderedDict\n", b"datetime\ndate\n"),
    *(b"zoneinfo\nZoneInfo._unpickle\n", b"coshelf\nopen\n", b"uuid\nUUID\n", b"_codecs\nencode\n", b"io\nopen\n"),
]
_OPCODES = [each.code.encode("latin-1") for each in pickletools.opcodes]
_PAGE = 4096


def _bytes_changed(chance: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """One change of the kinds that fuzzers make."""
    kind = chance.randrange(7)
    at = chance.randrange(len(data) + 1)
    if kind == 0 and data:
        at = min(at, len(data) - 1)
        return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
    if kind == 1:
        return data[:at] + chance.randbytes(chance.randrange(1, 9)) + data[at + chance.randrange(9) :]
    if kind == 2:
        return data[:at]
    if kind == 3:
        return data[:at] + data[at + chance.randrange(1, 17) :]
    if kind == 4:
        width = chance.choice((1, 2, 4, 8))
        number = chance.choice(_INTERESTING) & ((1 << 8 * width) - 1)
        return data[:at] + number.to_bytes(width, chance.choice(("little", "big"))) + data[at + width :]
    if kind == 5:
        other = chance.choice(others)
        start = chance.randrange(len(other) + 1)
        return data[:at] + other[start : start + chance.randrange(1, 40)] + data[at:]
    return data[:at] + data[at : at + 8] * chance.randrange(1, 30) + data[at:]


def _instructions_changed(chance: random.Random, data: bytes) -> bytes:
    """Instructions of a pickle exchanged, put in or taken out."""
    try:
        found = [at for _, _, at in pickletools.genops(data)]
    except Exception:  # mutated before
        return data
    at = chance.choice(found)
    kind = chance.randrange(4)
    if kind == 0:
        return data[:at] + chance.choice(_OPCODES) + data[at + 1 :]
    if kind == 1:
        return data[:at] + chance.choice(_OPCODES) + chance.randbytes(chance.choice((0, 0, 1, 4))) + data[at:]
    if kind == 2:
        return (
            data[:at]
            + b"c"
            + chance.choice(_NAMES)
            + chance.choice((b"", b")R", b"]R", b"\x85R", b"N\x86R", b"b"))
            + data[at:]
        )
    end = chance.choice(found)
    return data[:at] + data[max(at, end) :]


def mutated_pickle(chance: random.Random) -> bytes:
    """A pickle with one to four changes."""
    data = chance.choice(samples.pickles())
    for _ in range(chance.choice((1, 1, 2, 4))):
        if chance.random() < 0.5:
            data = _instructions_changed(chance, data)
        else:
            data = _bytes_changed(chance, data, samples.pickles())
    return data


def mutated_key(chance: random.Random) -> bytes:
    """An encoded key with one or two changes."""
    data = chance.choice(samples.keys())
    for _ in range(chance.choice((1, 2))):
        data = _bytes_changed(chance, data, samples.keys())
    return data


def mutated_file(chance: random.Random) -> bytes:
    """A shelf's file with changes in its pages' structure, its headers, or anywhere."""
    content = bytearray(chance.choice(samples.files()))
    for _ in range(chance.choice((1, 1, 2, 5))):
        page = chance.randrange(len(content) // _PAGE) * _PAGE
        kind = chance.randrange(6)
        if kind == 0:  # number, flags and bounds of a page
            at = page + chance.randrange(16)
        elif kind == 1:  # a pointer
            at = page + 16 + 2 * chance.randrange(20)
        elif kind == 2:  # headers
            at = chance.choice((0, _PAGE)) + chance.randrange(160)
        elif kind == 3:  # a node
            pointer = struct.unpack_from("<H", content, page + 16)[0]
            at = page + min(pointer + chance.randrange(24), _PAGE - 1)
        elif kind == 4:
            other = chance.randrange(len(content) // _PAGE) * _PAGE
            content[page : page + _PAGE] = content[other : other + _PAGE]
            continue
        else:
            at = chance.randrange(len(content))
        width = chance.choice((1, 2, 4, 8))
        number = chance.choice(
            (chance.choice(_INTERESTING), chance.getrandbits(64), content[at] ^ 1 << chance.randrange(8))
        )
        piece = (number & ((1 << 8 * width) - 1)).to_bytes(width, "little")
        content[at : at + width] = piece[: len(content) - at]
    if chance.random() < 0.1:
        del content[chance.randrange(len(content)) :]
    return bytes(content)


def mutated_layered(chance: random.Random) -> bytes:
    """What the other codecs write, compressed or not, behind a byte that says which it is."""
    found = samples.layered()
    data = chance.choice(found)
    for _ in range(chance.randrange(4)):
        data = _bytes_changed(chance, data, found)
    return data


def mutated_timed(chance: random.Random) -> bytes:
    """A time, and a pickle that is mostly whole."""
    time = chance.choice((chance.choice(_INTERESTING), chance.getrandbits(64), (1 << 50) + chance.randrange(-1, 2)))
    data = chance.choice(samples.pickles()) if chance.random() < 0.5 else mutated_pickle(chance)
    return time.to_bytes(8, "little") + data
