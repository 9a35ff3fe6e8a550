"""A watch of everything in a shelf, also where a shelf that is open for reading alone cannot be watched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from coshelf.contract import Position
from coshelf.errors import CoshelfError, ReadOnlyShelf
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.watch import Watch
from coshelf.opening import open_with_codec
from coshelf.values.front_doors import UNREAD_VALUES

__all__ = ["Following", "following", "watching"]


@dataclass(frozen=True, slots=True)
class Following:
    """How a page follows the changes of a shelf.

    Attributes:
        since: the version after which they are told, as text; empty: from the moment when the page asks.
        promise: what the engine tells, as a sentence.
    """

    since: str
    promise: str


def following(shelf: Shelf[Any, Any]) -> Following | None:
    """How a page follows the changes. Called before the page reads. None if the engine does not tell of changes.

    >>> import coshelf
    >>> following(coshelf.open("memory:")).promise
    'Every commit is told.'
    """
    granted = shelf.engine_for("viewer").capabilities
    if granted.changes is None:
        return None
    if granted.changes == "latest":
        # The position of an object store costs a list of all objects, which is much for each page.
        since = "" if granted.watch == "poll" else _version(shelf)
        return Following(since, "Several changes of one entry may be told as one, the last of them.")
    return Following(_version(shelf), "Every commit is told.")


def _version(shelf: Shelf[Any, Any]) -> str:
    try:
        return str(shelf.version)
    except (CoshelfError, OSError):  # the page is shown all the same, and the stream says what is wrong
        return ""


@contextmanager
def watching(shelf: Shelf[Any, Any], since: Position | None = None) -> Iterator[Watch[Any, Any]]:
    """A watch of all entries. Its changes are for previews: values may not be decodable.

    On some engines a watch has to tell the writers that it is there. If the shelf is open for reading alone, it is
    opened once more for that, and nothing else is written.

    Raises:
        ReadOnlyShelf, ShelfPermissionError: that is not possible.
        Unsupported: the engine does not tell of changes.
        ValueError: ``since`` is no version of this shelf.
    """
    try:
        watch = shelf.watch(since=since)
    except ReadOnlyShelf:
        target, _ = shelf.engine_for("viewer").reopen_arguments()
        with open_with_codec(target, "w", UNREAD_VALUES) as again, again.watch(since=since) as watch:
            yield watch
        return
    with watch:
        yield watch
