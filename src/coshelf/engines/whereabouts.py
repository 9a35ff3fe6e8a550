"""Whether a shelf's file still has its name while it is open. Another program may delete, replace or move it.

Then data is written to a file without a name, which is lost when the last process closes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from coshelf.errors import ShelfGone
from coshelf.system.files.descriptors import path_of

__all__ = ["OpenName", "missed"]


class OpenName:
    """The name of a file that is open. ``descriptor`` returns a descriptor of that file, which the caller keeps open.

    Attributes:
        gone: the error for further writes, after the name was found to lead elsewhere; None before.
    """

    def __init__(self, path: str, descriptor: Callable[[], int]) -> None:
        self._path = path
        self._descriptor = descriptor
        self.gone: ShelfGone | None = None

    def refuse_gone(self) -> None:
        """Raise :class:`ShelfGone` if the name does not lead to the file any more."""
        gone = self._look()
        if gone is not None:
            raise gone

    def is_lost(self) -> bool:
        """Whether the file has no name any more."""
        gone = self._look()
        return gone is not None and gone.is_lost

    def _look(self) -> ShelfGone | None:
        descriptor = self._descriptor()
        self.gone = missed(self._path, os.fstat(descriptor), descriptor)
        return self.gone


def missed(path: str, ours: os.stat_result, descriptor: int | None = None) -> ShelfGone | None:
    """The error for a name that leads to another file than ``ours``, or to none. None if it is ours, or unknown.

    Without a ``descriptor`` of the file, ``ours`` may be its status when it was opened.
    """
    try:
        found: os.stat_result | None = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        found = None
    except OSError:
        return None
    if found is not None and os.path.samestat(found, ours):
        return None
    if descriptor is not None and ours.st_nlink:
        return ShelfGone(
            f"{path} was renamed or moved while it was open{_new_name(descriptor)}\n"
            "  all that was written is in the file at its new place\n"
            "  hint: close it, and open it by its new name; or move it back",
            is_lost=False,
        )
    what = "deleted" if found is None else "replaced by another file"
    unknown = "" if descriptor is not None else " (or moved, and is then whole under its new name)"
    return ShelfGone(
        f"{path} was {what} while it was open{unknown}: what is written to it is gone when the last process closes it\n"
        "  hint: backup() still copies all of it to another place; then close it"
    )


def _new_name(descriptor: int) -> str:
    found = path_of(descriptor)
    return "" if found is None else f", to {found}"
