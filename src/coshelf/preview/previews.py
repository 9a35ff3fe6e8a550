"""The preview of a record."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from coshelf import records
from coshelf.preview.instructions import instructions
from coshelf.preview.outline import follow

__all__ = ["Preview", "payload_of", "preview_of"]

_STEPS = 5_000


@dataclass(frozen=True, slots=True)
class Preview:
    """What is stored under a key, as far as it can be told without unpickling it.

    Attributes:
        type: the name of the value's class, with its module unless that is builtins; "?" if it cannot be told.
        text: the value as Python would write it, cut.
        size: bytes of the record without its trailer.
        stored_as: "pickle 5" and the like.
        names: the classes and functions that unpickling would ask for.
        problem: why the rest cannot be told, if it cannot.
    """

    type: str
    text: str
    size: int
    stored_as: str
    names: tuple[str, ...] = ()
    problem: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return dataclasses.asdict(self)


def preview_of(record: bytes, *, length: int = 80, steps: int = _STEPS) -> Preview:
    """Look at a record.

    Args:
        record: body and trailer.
        length: about how many characters ``text`` may have.
        steps: how many instructions are followed at most.
    """
    size = len(record) - records.TRAILER
    signed, start = payload_of(record)
    if start is None:
        return Preview("?", "?", size, signed, (), "only a later version knows what this is")
    outline = follow(instructions(record, start, size), steps)
    protocol = record[start + 1] if record[start : start + 1] == b"\x80" and start + 1 < size else "0 or 1"
    return Preview(
        outline.thing.type,
        outline.thing.written(length),
        size,
        f"{signed}pickle {protocol}",
        tuple(outline.names),
        outline.problem,
    )


def payload_of(record: bytes) -> tuple[str, int | None]:
    """What is said of a record in front of its pickle, and where that begins; None if it has none."""
    tag = record[0] if len(record) > records.TRAILER else -1
    if tag == records.PICKLE:
        return "", 0
    if tag == records.OLD_PICKLE:
        return "", 1
    if tag != records.HEADERED:
        return f"tag {tag:#04x}" if tag >= 0 else "nothing", None
    said, at, end = "", 1, len(record) - records.TRAILER
    while at < end and record[at]:
        kind, size = record[at], int.from_bytes(record[at + 1 : at + 3], "little")
        if kind != records.SIGNATURE:
            return f"header {kind:#04x}", None
        said = f"signed ({record[at + 3 : at + 7].hex()}) "
        at += 3 + size
    return said, at + 1
