"""What entries come from. Each kind of source is a class in a module of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from coshelf.errors import CoshelfError
from coshelf.transfer.report import Left

__all__ = ["Skipped", "Source", "SourceEntry", "SourceError", "SourceOptions"]


class SourceError(CoshelfError, OSError):
    """A source cannot be read, or it cannot be told what it is. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """An entry that can be moved: its key, and its value as a pickle."""

    key: Any
    pickle: bytes


class Skipped(Left):
    """An entry that could be moved, if asked for in another way."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How to read a source.

    Attributes:
        trust_pickle: whether pickles may be loaded where a source cannot be read without.
        keyencoding: how a dbm module's keys became bytes.
        values: how the values of a dbm database or of sqlitedict became bytes.
        table: which table of an SQLite file, if it has several.
        keys: how the keys of sqlitedict became text; None for what they look like.
        disk: which Disk of diskcache wrote; None for what it looks like.
        drop_expiry: whether entries that expire are taken, to stay for ever.
    """

    trust_pickle: bool = False
    keyencoding: str = "utf-8"
    values: str = "pickle"
    table: str | None = None
    keys: str | None = None
    disk: str | None = None
    drop_expiry: bool = False


class Source(ABC):
    """A place that entries are read from. It is not changed."""

    kind: str

    def count(self) -> int | None:
        """How many entries there are, if that costs little."""
        return None

    @abstractmethod
    def entries(self) -> Iterator[SourceEntry | Left]:
        """All of them, and what cannot be one; a :class:`Skipped` says what to ask for."""

    @abstractmethod
    def close(self) -> None:
        """Give back what was opened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
