"""The facts about a shelf that :meth:`coshelf.Shelf.info` returns."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import stat
from dataclasses import dataclass
from typing import Any

from coshelf import native
from coshelf.contract import Engine, Measured, distrust
from coshelf.inspection.tables import Table, Tabular, facts
from coshelf.keys import FIRST, LAST
from coshelf.mapping.living import Living
from coshelf.system.rights import users
from coshelf.values.limiting import limits_of
from coshelf.values.settings import Settings, remembered

__all__ = ["Info", "look_at"]


@dataclass(frozen=True, slots=True)
class Info(Tabular):
    """Facts about a shelf. None: its engine does not have this. Printed, and in a notebook, it is a table.

    Attributes:
        name: path or URL.
        engine: name of the engine.
        entries: the number of entries.
        store_id: the shelf's id, in hexadecimal.
        created: the time of its creation, in ISO 8601.
        file_size: bytes.
        owner: the user that owns the file. None on Windows, where that is not asked for.
        mode: its permissions, as ls shows them.
        codec: how values are written: "pickle", "msgspec", ...
        compression: how values are compressed; None if they are not.
        encryption: the id of the key that encrypts values, in hexadecimal; None if they are not encrypted.
        max_bytes: the limit of bytes; None if there is none.
        max_entries: the limit of entries; None if there is none.
        evict: which entries go when a limit is reached; None if there is no limit.
        trusted: whether any object is loaded by default.
        reason: why it is not trusted; None if it is.
        native: whether the module in C is in use. Without it, coshelf does the same more slowly.
        capabilities: what the engine can do.
    """

    name: str
    engine: str
    entries: int
    store_id: str | None
    created: str | None
    file_size: int | None
    owner: str | None
    mode: str | None
    codec: str
    compression: str | None
    encryption: str | None
    max_bytes: int | None
    max_entries: int | None
    evict: str | None
    trusted: bool
    reason: str | None
    native: bool
    capabilities: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """All attributes, for JSON."""
        return dataclasses.asdict(self)

    def _tables(self) -> tuple[Table, ...]:
        rows = [
            ("shelf", self.name),
            ("engine", self.engine),
            ("id", self.store_id or None),
            ("entries", self.entries),
            ("file size", self.file_size),
            ("created", self.created),
            ("owner and mode", self.owner and f"{self.owner}, {self.mode}"),
            ("codec", self.codec),
            ("compression", self.compression),
            ("encrypted with key", self.encryption),
            ("limit of bytes", self.max_bytes),
            ("limit of entries", self.max_entries),
            ("evicts by", self.evict),
            ("trusted", "yes" if self.trusted else f"no: {self.reason}"),
            ("module in C", _use_of_the_module(self.native)),
            *((name.replace("_", " "), value) for name, value in self.capabilities.items()),
        ]
        return (facts(rows),)


def _use_of_the_module(is_used: bool) -> str:
    if not native.reason:
        return "in use"
    return f"in use, but {native.reason}" if is_used else f"not in use: {native.reason}"


def look_at(engine: Engine) -> Info:
    """The facts about an engine, without reading its entries."""
    figures = engine.figures() if isinstance(engine, Measured) else None
    created = None if figures is None or figures.created is None else figures.created
    owner, mode = _owner_and_mode(engine.where)
    reason = distrust(engine)
    values = remembered(engine) or Settings()
    limits = limits_of(engine)
    return Info(
        engine.where,
        engine.name,
        Living(engine, engine.now).count(FIRST, LAST),
        engine.store_id.hex() or None,
        None if created is None else dt.datetime.fromtimestamp(created, dt.UTC).isoformat(timespec="seconds"),
        None if figures is None else figures.file_size,
        owner,
        mode,
        values.codec,
        values.compression,
        values.key_id.hex() or None,
        limits.max_bytes or None,
        limits.max_entries or None,
        limits.evict if limits else None,
        reason is None,
        reason,
        native.in_use,
        dataclasses.asdict(engine.capabilities),
    )


def _owner_and_mode(where: str) -> tuple[str | None, str | None]:
    try:
        information = os.stat(where.removeprefix("files:").removeprefix("sqlite:"))
    except OSError:  # the engine is not a file
        return None, None
    if not users.has_numbers:  # stat does not know it
        return None, None
    owner = users.name_of(information.st_uid) or str(information.st_uid)
    return owner, stat.filemode(information.st_mode)
