"""What a cache does in one commit, and how it says that it cannot."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NoReturn

from coshelf.errors import UnwritableValue
from coshelf.mapping.transaction import Transaction

__all__ = ["UnpicklableValue", "delete", "missing", "move", "refuse"]


class UnpicklableValue(UnwritableValue, pickle.PicklingError):
    """A value cannot be pickled. Nothing was stored. Django's own backends raise ``pickle.PickleError``, too."""


def move(entries: Transaction[str, Any], key: Any, source: str, target: str) -> None:
    """Move an entry to another key, with its time. Raises ValueError if it is missing."""
    try:
        value, expires = entries[source], entries.expires(source)
    except KeyError:
        raise missing(key) from None
    del entries[source]
    entries.set(target, value, None if expires is None else expires - time.time())


def delete(entries: Transaction[str, Any], keys: Iterable[str]) -> None:
    """Delete the entries that exist."""
    for key in keys:
        with suppress(KeyError):
            del entries[key]


def missing(key: Any) -> ValueError:
    """The error of a missing key, in the words of Django."""
    return ValueError(f"Key {str(key)!r} not found")


def refuse(error: UnwritableValue) -> NoReturn:
    """Raise the error of a value that cannot be stored as Django's own backends raise it."""
    raise UnpicklableValue(str(error), error.keys) from error
