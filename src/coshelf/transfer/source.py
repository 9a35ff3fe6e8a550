"""The sources of entries. Each kind of source is a class in its own module."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from coshelf.errors import CoshelfError
from coshelf.transfer.report import Left
from coshelf.values.envelope import NOTHING, Envelope

__all__ = ["Skipped", "Source", "SourceEntry", "SourceError", "SourceOptions"]


class SourceError(CoshelfError, OSError):
    """A source cannot be read, or its kind is unknown. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """An entry that can be moved: its key, its value as a pickle, when it expires, and its tags."""

    key: Any
    pickle: bytes
    envelope: Envelope = NOTHING


class Skipped(Left):
    """An entry that could be moved with another option."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How to read a source.

    Attributes:
        trust_pickle: whether pickles may be loaded if a source cannot be read without that.
        keyencoding: the encoding of a dbm module's keys.
        values: the form of the values of a dbm database or of sqlitedict.
        table: which table of an SQLite file, if it has several.
        keys: the form of sqlitedict's keys; None: it is recognised.
        disk: which Disk of diskcache wrote the entries; None: it is recognised.
        drop_expiry: whether entries that expire are imported without their times.
        drop_tags: whether entries with tags are imported without them.
    """

    trust_pickle: bool = False
    keyencoding: str = "utf-8"
    values: str = "pickle"
    table: str | None = None
    keys: str | None = None
    disk: str | None = None
    drop_expiry: bool = False
    drop_tags: bool = False


class Source(ABC):
    """A place that entries are read from. It is not changed.

    Attributes:
        kind: its name in reports and options.
        is_trusted: whether it is known that its values run no code of others.
    """

    kind: str
    is_trusted: bool = False

    def count(self) -> int | None:
        """The number of entries, if it is cheap to find out."""
        return None

    @abstractmethod
    def entries(self) -> Iterator[SourceEntry | Left]:
        """All entries, and a :class:`Left` for everything else. A :class:`Skipped` names the option that moves it."""

    @abstractmethod
    def close(self) -> None:
        """Close the source."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
