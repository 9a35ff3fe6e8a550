"""Bells of a shelf: words of the table at which processes sleep until another one rings."""

from __future__ import annotations

import zlib
from typing import Protocol

from coshelf.contract import Doorbell
from coshelf.engines.turn_table.layout import BELLS

__all__ = ["TableBell", "bell_of"]


def bell_of(name: bytes) -> int:
    """The bell that belongs to a name. Several names may have one."""
    return zlib.crc32(name) % BELLS


class _Bells(Protocol):
    def sequence_of(self, bell: int) -> int: ...

    def wait_at(self, bell: int, sequence: int, timeout: float | None) -> None: ...


class TableBell(Doorbell):
    """One bell."""

    def __init__(self, bells: _Bells, name: bytes) -> None:
        self._bells = bells
        self._bell = bell_of(name)

    def sequence(self) -> int:
        return self._bells.sequence_of(self._bell)

    def wait(self, sequence: int, timeout: float | None) -> None:
        self._bells.wait_at(self._bell, sequence, timeout)
