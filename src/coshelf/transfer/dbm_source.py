"""Shelves and databases of the dbm modules."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from coshelf.keys import shown
from coshelf.transfer.encodings import decoded_value
from coshelf.transfer.report import Left
from coshelf.transfer.source import Source, SourceEntry, SourceError, SourceOptions

__all__ = ["DbmSource", "as_entry"]


class DbmSource(Source):
    """A database that a dbm module of this Python reads."""

    def __init__(self, path: str, kind: str, options: SourceOptions) -> None:
        self.kind = kind
        self._options = options
        try:
            module = importlib.import_module(kind)
        except ImportError as error:
            raise SourceError(
                f"{path} was made by {kind}, which this Python does not have\n"
                "  hint: import it with a Python that has this module, for instance your system's"
            ) from error
        try:
            self._database: Any = module.open(path, "r")
        except Exception as error:  # each dbm module has its own error, which is not an OSError
            raise SourceError(f"{path} cannot be opened by {kind}: {error}") from error

    def count(self) -> int | None:
        return len(self._database)

    def entries(self) -> Iterator[SourceEntry | Left]:
        for key in self._database.keys():  # noqa: SIM118 (dbm objects of older Pythons are not iterable)
            try:
                value = self._database[key]
            except Exception as error:
                yield Left(shown(key), f"{self.kind} cannot read it: {error}")
            else:
                yield as_entry(key, value, self._options)

    def close(self) -> None:
        self._database.close()


def as_entry(key: bytes, value: object, options: SourceOptions) -> SourceEntry | Left:
    """An item of a database of bytes as an entry."""
    try:
        name = key.decode(options.keyencoding)
    except UnicodeDecodeError as error:
        return Left(shown(key), f"the key is not {options.keyencoding}: {error.reason} (--keyencoding)")
    return decoded_value(name, value, options.values)
