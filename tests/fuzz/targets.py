"""What inputs are given to. A target returns a word for what came of an input; what must not happen, it raises."""

from __future__ import annotations

import contextlib
import copy
import enum
import functools
import importlib
import os
import pickle
import resource
import tempfile
import unicodedata  # noqa: F401 (so that it is no event when a message is made plain)
import warnings
import zoneinfo
from collections import ChainMap, UserDict
from collections.abc import Callable
from fractions import Fraction
from ipaddress import IPv4Address
from pathlib import PosixPath
from types import SimpleNamespace
from typing import Any, ClassVar
from uuid import UUID, SafeUUID

from samples import pickles
from watch import watching

import coshelf
from coshelf import records
from coshelf.engines.lmdb.pages import closing_stamp
from coshelf.engines.lmdb.pages.header import read_metas
from coshelf.errors import CoshelfError, DamagedRecord, UnreadableValue
from coshelf.inspection.preview import preview_of
from coshelf.keys import decode, encode
from coshelf.system import extras
from coshelf.trust.gate import Gate
from coshelf.trust.gate.known import Known
from coshelf.values.compression import Compression, Decompressor
from coshelf.values.envelope import bare, body_of
from coshelf.values.expiry import EXPIRING, is_over, stamped, time_of
from coshelf.values.layered import LayeredCodec
from coshelf.values.pickled import PickleCodec
from coshelf.values.pickles import Pickles
from coshelf.values.signatures import Signature

try:
    import numpy as np
except ImportError:
    np = None  # type: ignore[assignment]

__all__ = ["TARGETS", "planted", "prepare"]

_KEY = "k"
_ENCODED = encode(_KEY)
_NOW = 1 << 50
_SECRET = b"0123456789abcdef"
_PAGE = 4096
_MEMORY = 512 << 20


def _no_dictionary(_: int, encrypted: bool) -> bytes:
    raise UnreadableValue("there is no dictionary")


_GATED = Pickles(None, Gate().loads, ways_on="; not trusted")
PLAIN = PickleCodec(_GATED)
EVERY = LayeredCodec(_GATED, [Compression(Decompressor(_no_dictionary))])
SIGNED = LayeredCodec(Pickles(), [Compression(Decompressor(_no_dictionary)), Signature((_SECRET,), bytes(16))])


def prepare() -> None:
    """Import whatever plain data needs, so that an import after this is one too many, and bound this process's memory.

    A few bytes of pickle can ask for as much as there is (docs/trust.md). What is refused then is an error of our tree.
    """
    for data in pickles():
        for codec in (PLAIN, EVERY, SIGNED):
            with contextlib.suppress(CoshelfError):
                codec.load(_KEY, _ENCODED, record_of(data, repaired=True))
    for number in (1, 2, 3, 4):
        EVERY.serializer(_KEY, number)
    extras.zstd()
    with contextlib.suppress(zoneinfo.ZoneInfoNotFoundError):
        zoneinfo.ZoneInfo("No/Such")  # looks for a package of zones, in a module of its own
    # Python itself writes about some broken pickles to standard error, and from 3.13 on with the help of these modules.
    # The preview looks up rare characters in the last one.
    for name in ("traceback", "linecache", "tokenize", "_colorize", "unicodedata"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with open("/proc/self/statm", encoding="ascii") as file:
        limit = int(file.read().split()[0]) * resource.getpagesize() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def record_of(data: bytes, *, repaired: bool) -> bytes:
    """A record with this pickle in it; or these bytes, as they are."""
    if not repaired:
        return data
    body = data if data[:1] == b"\x80" else b"\x01" + data
    return records.seal(body, records.checksum(_ENCODED, body), 7)


def plain_record(data: bytes, repaired: bool) -> str:
    """Decode a record that another user may have made, and describe it."""
    record = record_of(data, repaired=repaired)
    with watching():
        found = preview_of(record)
        if len(found.text) > 1_000:
            raise AssertionError(f"a preview of {len(found.text)} characters")
        if not record:
            return "nothing"
        try:
            PLAIN.load(_KEY, _ENCODED, record)
        except CoshelfError as error:
            return type(error).__name__
    return "value"


def layered_record(data: bytes, repaired: bool) -> str:
    """Decoding and telling what says of itself by which codec it was written, and with which layers."""
    codec, rest = (data[0] % 8, data[1:]) if data else (0, b"")
    headers = [(records.CODEC, bytes((codec,)))] if codec else []
    if data and data[0] & 0x40:
        headers.insert(0, (records.EXPIRY, rest[:8].ljust(8, b"\0")))
        rest = rest[8:]
    if data[:1] >= b"\x80":
        headers.append((records.COMPRESSION, b"\x01\0\0\0\0" + rest[:3].ljust(8, b"\0")))
        rest = rest[3:]
    body = records.write_headers(headers) + rest if repaired else b"\x02" + data
    record = records.seal(body, records.checksum(_ENCODED, body), 7)
    with watching():
        found = preview_of(record)
        if len(found.text) > 1_000:
            raise AssertionError(f"a preview of {len(found.text)} characters")
        try:
            EVERY.load(_KEY, _ENCODED, record)
        except CoshelfError as error:
            return type(error).__name__
    return "value"


def timed_record(data: bytes, repaired: bool) -> str:
    """A time and a pickle, as a shelf writes them; or bytes behind the beginning of the header of a time."""
    time, rest = int.from_bytes(data[:8].ljust(8, b"\0"), "little"), data[8:]
    before = rest if rest[:1] == b"\x80" else b"\x01" + rest
    body = stamped(before, time) if repaired else EXPIRING + data
    record = records.seal(body, records.checksum(_ENCODED, body), 7)
    with watching():
        found = time_of(record)
        is_gone = is_over(_ENCODED, record, _NOW)
        if repaired and (found != time or bare(body) != before or body_of(record) != before):
            raise AssertionError(f"a record with the time {time} has the time {found}, or another body")
        if is_gone != (found is not None and found <= _NOW):
            raise AssertionError(f"at {_NOW}, an entry with the time {found} is {'over' if is_gone else 'not over'}")
        if is_over(_ENCODED + b"x", record, _NOW):
            raise AssertionError("a record under another key counts as one that has expired")
        preview_of(record)
        try:
            PLAIN.load(_KEY, _ENCODED, record)
        except CoshelfError as error:
            return type(error).__name__
    return "value, over" if is_gone else "value"


def signed_record(data: bytes, repaired: bool) -> str:
    """A record without a valid signature must not be unpickled."""
    body = SIGNED.dump(_KEY, _ENCODED, [1])
    header = body[: body.index(b"\x80\x04")]
    whole = header + data
    record = records.seal(whole, records.checksum(_ENCODED, whole), 7) if repaired else whole + data[:12]
    with watching():
        try:
            SIGNED.load(_KEY, _ENCODED, record)
        except CoshelfError as error:
            return type(error).__name__
    raise AssertionError("a value that nobody signed was loaded")


class Colour(enum.Enum):
    """Allowed beside plain data: its members are the program's."""

    RED = 1


class Listing(list):  # type: ignore[type-arg]
    """Allowed, and fills itself by methods of the class that no pickle may call."""

    called: ClassVar[list[Any]] = []

    @classmethod
    def append(cls, item: Any) -> None:  # type: ignore[override]
        cls.called.append(item)

    add = append


class Point:
    """Allowed, and like most classes."""


@functools.lru_cache
def cached() -> Point:
    """Allowed: what it gives is the program's."""
    return Point()


PLAIN_GATE, OPEN_GATE = Gate(), Gate([Colour, Listing, Point, cached])
_CLASSES = (
    *(Fraction, UUID, SafeUUID, PosixPath, UserDict, ChainMap, IPv4Address, SimpleNamespace, Colour, Point, Known),
)


def _kept() -> Any:
    """What no pickle may change."""
    members = [(vars(member)["_value_"], vars(member)["_name_"]) for kind in (SafeUUID, Colour) for member in kind]
    attributes = [set(vars(each)) - {"__slotnames__"} for each in _CLASSES]  # that is what copying notes
    return attributes, members, list(Listing.called), dict(vars(cached())), set(vars(cached))


KEPT = _kept()


def gate_program(data: bytes, repaired: bool) -> str:
    """A pickle that is made to attack the gate, and the value used as a program would."""
    gate = OPEN_GATE if repaired else PLAIN_GATE
    with watching():
        try:
            value = gate.loads(data)
        except MemoryError:
            # An allowed list that is given a range of plain data makes what it is asked for; nothing else does.
            if gate is PLAIN_GATE or b"Listing" not in data:
                raise AssertionError("a small pickle asked for more memory than there is") from None
            told = "MemoryError"
        except Exception as error:
            told = type(error).__name__
        else:
            told = "value"
            for each in value if isinstance(value, list) else [value]:
                _use(each)
    if (found := _kept()) != KEPT:
        raise AssertionError(f"a pickle changed what the program has: {found}")
    return told


def _use(value: Any) -> None:
    if isinstance(value, Listing):
        return  # copies of a Listing call its methods
    for use in (
        hash,
        len,
        repr,
        copy.copy,
        copy.deepcopy,
        lambda each: each == value,
        lambda each: pickle.dumps(each, 5),
    ):
        with contextlib.suppress(Exception):
            use(value)
    if np is not None:
        with contextlib.suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.array(value, copy=True).sum()


def key(data: bytes, repaired: bool) -> str:
    """Bytes are damaged, or the one way in which a key is written."""
    with watching():
        try:
            found = decode(data)
        except DamagedRecord:
            return "DamagedRecord"
        again = encode(found)
    if again != data:
        raise AssertionError(f"{data!r} is decoded as {found!r}, which is {again!r}")
    return "key"


def restamp(path: str) -> None:
    """Give a file the stamp that its last closer would have given it."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        metas = sorted(read_metas(descriptor, path), key=lambda meta: meta.transaction)
        if len(metas) == 2 and metas[1].page_size == _PAGE:
            for page in (0, 1):
                os.pwrite(descriptor, bytes(_PAGE - 512), page * _PAGE + 512)
            stamp = closing_stamp.make_stamp(descriptor, metas[1], metas[0], has_damage=False)
            if stamp is not None:
                closing_stamp.write_stamp(descriptor, _PAGE, stamp)
    except (CoshelfError, OverflowError, MemoryError):
        pass  # headers of which no stamp can be made
    finally:
        os.close(descriptor)


_PLACE: list[tempfile.TemporaryDirectory[str]] = []


def file(data: bytes, repaired: bool) -> str:
    """Open a file of another user, read and change everything in it, check it and salvage it."""
    if not _PLACE:
        _PLACE.append(tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
        os.environ["XDG_STATE_HOME"] = _PLACE[0].name + "/state"
    path = os.path.join(_PLACE[0].name, "a.shelf")
    for name in os.listdir(_PLACE[0].name):
        if name.startswith("a.shelf"):
            os.unlink(os.path.join(_PLACE[0].name, name))
    with open(path, "wb") as made:
        made.write(data)
    if repaired:
        restamp(path)
    words = [_looked_at(path), _used(path), _salvaged(path)]
    return "/".join(words)


def _looked_at(path: str) -> str:
    try:
        return "ok" if coshelf.check(path).ok else "damaged"
    except CoshelfError as error:
        return type(error).__name__


def _used(path: str) -> str:
    told = "used"
    try:
        with coshelf.open(path, "w", trust=False) as shelf:
            for use in (_read, _change):
                try:
                    use(shelf)
                except (CoshelfError, KeyError) as error:  # KeyError: the maker of the file decides which keys it has
                    told = type(error).__name__
    except CoshelfError as error:
        told = type(error).__name__
    return told


def _read(shelf: Any) -> None:
    len(shelf)
    for name in shelf:
        shelf.get(name)
    list(shelf.items(reverse=True))
    shelf.stats()


def _change(shelf: Any) -> None:
    shelf.update({"new": 1, "large": b"x" * 10_000, "n" * 600: 2})
    for name in list(shelf)[::2]:
        del shelf[name]
    shelf.sync()
    shelf["more"] = 1


def _salvaged(path: str) -> str:
    try:
        report = coshelf.salvage(path, path + "-salvaged")
    except CoshelfError as error:
        return type(error).__name__
    if not coshelf.check(path + "-salvaged").ok:
        raise AssertionError("what was salvaged is not whole")
    return "salvaged" if report.ok else "salvaged in part"


def planted(data: bytes, repaired: bool) -> str:
    """A fault that chance does not find, for the test of the fuzzer itself."""
    if data[0:1] != b"s":
        return "first"
    if data[1:2] != b"h":
        return "second"
    if data[2:3] != b"e":
        return "third"
    if data[3:4] != b"l":
        return "fourth"
    if data[4:5] != b"f":
        return "fifth"
    raise AssertionError("the planted fault was found")


Target = Callable[[bytes, bool], str]
TARGETS: dict[str, Target] = {
    "record": plain_record,
    "layered record": layered_record,
    "timed record": timed_record,
    "signed record": signed_record,
    "gate": gate_program,
    "key": key,
    "file": file,
}
