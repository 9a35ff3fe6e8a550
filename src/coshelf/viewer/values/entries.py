"""What the page of an entry shows: facts, its value if that is plain data, its bytes, instructions of its pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from coshelf.cli.key_text import literal_of, text_of_key
from coshelf.contract import Engine
from coshelf.errors import CoshelfError, DamagedRecord
from coshelf.inspection.preview import Instruction, Preview, instructions
from coshelf.keys import decode
from coshelf.mapping.record import Record
from coshelf.mapping.shelf import Shelf
from coshelf.system import clock
from coshelf.transfer.json_lines import same_in_json
from coshelf.viewer.keys.addresses import address_of, shown_bytes
from coshelf.viewer.sizes import in_words, moment
from coshelf.viewer.texts import cut
from coshelf.viewer.values.arrays import Array, array_of, is_array
from coshelf.viewer.values.outlines import Outline, outline_of
from coshelf.viewer.values.pictures import kind_of_picture
from coshelf.viewer.values.plain_values import NotShown, buffers_of, payload_of, plain_value
from coshelf.viewer.values.tables import Table, table_of

__all__ = [
    "Face",
    "Part",
    "Steps",
    "Stored",
    "Text",
    "face_of",
    "facts_of",
    "parts_of",
    "steps_of",
    "stored_at",
    "text_of",
]

_INSTRUCTIONS = 500  # of a page
_BUFFERS = 16  # that can be looked at
_FEW = 10  # instructions that tell whether a value is bytes
_EDITABLE = 1 << 20  # characters
_PER_PART = 2  # characters that each part of a list or dict has at least


@dataclass(frozen=True)
class Stored:
    """An entry as it is stored.

    Attributes:
        encoded: the bytes of the key.
        key: the key; its bytes if they were damaged on disk.
        record: the record; None if it cannot be read.
        problem: why not; None if it can.
    """

    encoded: bytes
    key: Any
    record: Record[Any, Any] | None
    problem: str | None = None

    @property
    def address(self) -> str:
        """The address of the key."""
        return address_of(self.encoded)

    @property
    def name(self) -> str:
        """The key as a list has it."""
        return cut(text_of_key(self.key), 400)

    @property
    def literal(self) -> str:
        """The key as Python writes it."""
        return cut(literal_of(self.key), 2_000)


def stored_at(shelf: Shelf[Any, Any], encoded: bytes) -> Stored | None:
    """The entry of the bytes of a key; None if there is none. Raises what reading the shelf raises, but no damage."""
    try:
        key = decode(encoded)
    except DamagedRecord as error:
        return Stored(encoded, shown_bytes(encoded), None, str(error))
    try:
        return Stored(encoded, key, shelf.record(key))
    except KeyError:
        return None
    except DamagedRecord as error:
        return Stored(encoded, key, None, str(error))


# --- facts -----------------------------------------------------------------------------------------------------------


def facts_of(record: Record[Any, Any], preview: Preview) -> list[tuple[str, str]]:
    """What is known of a record, as names and values, without loading it."""
    facts = [
        ("type", preview.type),
        ("size", f"{in_words(record.size)} ({record.size:,})" if record.size >= 1024 else in_words(record.size)),
        ("stored as", preview.stored_as or record.form),
        ("version", "not committed" if record.version is None else str(record.version)),
        ("checksum", "matches" if record.is_intact else "DOES NOT MATCH: the entry was damaged on disk"),
    ]
    if record.buffers_size:
        facts.append(("large buffers", f"{in_words(record.buffers_size)} beside the record"))
    if record.expires is not None:
        left = record.expires - clock.now() / 1_000_000
        facts.append(("expires", f"{moment(record.expires)} (in {_span(left)})"))
    if record.tags:
        facts.append(("tags", ", ".join(cut(tag) for tag in record.tags)))
    layers = [("compressed", record.is_compressed), ("encrypted", record.is_encrypted), ("signed", record.is_signed)]
    if any(is_there for _, is_there in layers):
        facts.append(("layers", ", ".join(name for name, is_there in layers if is_there)))
    if record.is_signed or record.is_encrypted:
        facts.append(("secret", _opens(record)))
    if preview.names:
        facts.append(("asks for", ", ".join(cut(name) for name in preview.names[:20])))
    return facts


def _opens(record: Record[Any, Any]) -> str:
    """Whether the secrets of this shelf verify and open a record, in words."""
    try:
        payload_of(record)
    except NotShown as error:
        return str(error)
    return "verified with the secret that was given"


def _span(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{max(seconds, 0):,.0f} seconds"


# --- the value -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Face:
    """How a value is shown. One of the attributes has it; ``reason`` says why none has.

    Attributes:
        outline, table, array, text: the value.
        picture: the media type of a picture; its bytes have an address of their own.
        reason: why the value is not shown.
        is_object: whether that is because it is more than plain data.
    """

    outline: Outline | None = None
    table: Table | None = None
    array: Array | None = None
    text: str | None = None
    picture: str | None = None
    reason: str | None = None
    is_object: bool = False


def face_of(record: Record[Any, Any], engine: Engine) -> Face:
    """How the value of a record is shown. It is loaded through the gate, or not at all."""
    try:
        return face_of_value(plain_value(record, engine))
    except NotShown as error:
        return Face(reason=cut(str(error), 600), is_object=error.is_object)


def face_of_value(value: Any) -> Face:
    """How a value is shown that was loaded."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        kind = kind_of_picture(value)
        return Face(picture=kind) if kind is not None else Face(outline=outline_of(value))
    if is_array(value):
        return Face(array=array_of(value))
    if type(value) is str and ("\n" in value or len(value) > 200):
        return Face(text=cut(value, 100_000, keep="\n\t"))
    table = table_of(value)
    is_frame = table is not None and type(value) not in (list, tuple)
    return Face(table=table, outline=None if is_frame else outline_of(value))


# --- bytes and instructions ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """Bytes of an entry that can be looked at.

    Attributes:
        name: in addresses.
        title: for people.
        data: the bytes.
    """

    name: str
    title: str
    data: bytes | memoryview


def parts_of(record: Record[Any, Any], engine: Engine) -> list[Part]:
    """The bytes of an entry: a value of bytes, the payload if it can be opened, the record, and large buffers."""
    found = []
    try:
        payload = payload_of(record)
        if record.codec == "pickle" and record.preview(steps=_FEW).type in ("bytes", "bytearray"):
            found.append(Part("value", "value", plain_value(record, engine)))
        found.append(Part("payload", "payload", payload))
    except NotShown:
        pass  # the record itself can be shown, and the page says why no more
    found.append(Part("record", "whole record", record.raw))
    try:
        views = buffers_of(record, engine)
    except CoshelfError:
        return found
    for at, view in enumerate(views[:_BUFFERS]):
        found.append(Part(f"buffer-{at}", f"large buffer {at}", view))
    return found


@dataclass(frozen=True)
class Steps:
    """Some instructions of a pickle.

    Attributes:
        lines: offset, name and argument of each.
        onward: the offset of the next instruction; None after the last.
        problem: why they end; None at the end of the pickle.
    """

    lines: list[tuple[int, str, str]]
    onward: int | None = None
    problem: str | None = None


def steps_of(payload: bytes, start: int = 0) -> Steps:
    """The instructions of a pickle from an offset on. Nothing is done that they say."""
    lines: list[tuple[int, str, str]] = []
    try:
        found: Iterator[Instruction] = instructions(payload, min(start, len(payload)))
        for each in islice(found, _INSTRUCTIONS):
            argument = "" if each.argument is None else cut(repr(each.argument), 300)
            lines.append((start + each.at, each.name, argument + (f" ({each.size:,} bytes)" if each.is_cut else "")))
        following = next(found, None)
    except ValueError as error:
        return Steps(lines, problem=cut(str(error)))
    return Steps(lines, None if following is None else start + following.at)


# --- editing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """A value as a text that can be edited.

    Attributes:
        form: "text" or "json".
        text: the text.
    """

    form: str
    text: str


def text_of(record: Record[Any, Any], engine: Engine) -> Text | None:
    """The text of a value for editing; None if no text stands for exactly this value."""
    try:
        value = plain_value(record, engine)
        if type(value) is str:
            is_exact = len(value) <= _EDITABLE and "\r" not in value and _is_utf8(value)
            return Text("text", value) if is_exact else None
        if not _can_be_short(value) or not same_in_json(value):
            return None
        text = json.dumps(value, indent=2, ensure_ascii=False)
    except (NotShown, RecursionError):
        return None
    return Text("json", text) if len(text) <= _EDITABLE and _is_utf8(text) else None


def _can_be_short(value: Any) -> bool:
    """Whether the JSON of a value may have few enough characters, found without writing it.

    A small pickle can hold one list in millions of places. JSON writes it out in each of them.
    """
    left, waiting = _EDITABLE, [value]
    while waiting and left >= 0:
        part = waiting.pop()
        if type(part) is str:
            left -= len(part)
        elif type(part) in (list, dict):
            left -= _PER_PART * len(part)
            if left < 0:  # before they are put on the list of what waits: a list may hold itself
                return False
            waiting.extend(part)  # of a dict, the names
            if type(part) is dict:
                waiting.extend(part.values())
    return left >= 0


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
