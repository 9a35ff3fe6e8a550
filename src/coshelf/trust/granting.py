"""Trust a shelf, and revoke the trust: ``python -m coshelf trust PATH``, which needs no extra."""

from __future__ import annotations

import os
import stat

from coshelf.contract import Markable, OpenOptions
from coshelf.engines import open_engine
from coshelf.errors import ShelfPermissionError, Unsupported
from coshelf.system.files.paths import expanded
from coshelf.trust.database_marks import is_database, mark_database, unmark_database
from coshelf.trust.provenance import protecting

__all__ = ["revoke", "trust_shelf"]


def trust_shelf(path: str) -> None:
    """Mark a shelf as trusted by this user, so that opening it loads any object.

    The mark is for this user and this file. A copy of the file is not trusted. ``coshelf trust PATH`` does the same.

    Raises:
        ShelfPermissionError: other users could write the shelf, and so could store any object there later.
        CoshelfError: the errors of opening.

    >>> import coshelf, os, tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     coshelf.open(os.path.join(place, "a.shelf")).close()
    ...     coshelf.trust.trust_shelf(os.path.join(place, "a.shelf"))
    """
    path = expanded(path)
    if is_database(path):
        mark_database(path)
        return
    # The mark usually lies outside the shelf, so a shelf that this user cannot write can be trusted, too.
    engine = open_engine(
        _target(path), OpenOptions(flag="w" if os.access(path.removeprefix("sqlite:"), os.W_OK) else "r")
    )
    try:
        if not isinstance(engine, Markable):
            raise Unsupported(f"the {engine.name} engine has no place to note that {engine.where} is trusted")
        reason = engine.exposure()
        if reason is not None:
            raise ShelfPermissionError(
                f"{path} cannot be trusted: {reason}\n  hint: {protecting()}, or open it with trust=True"
            )
        engine.trust()
    finally:
        engine.close()


def revoke(path: str) -> bool:
    """Remove this user's mark of trust; return whether there was one."""
    path = expanded(path)
    if is_database(path):
        return unmark_database(path)
    engine = open_engine(_target(path), OpenOptions(flag="r"))
    try:
        return isinstance(engine, Markable) and engine.revoke()
    finally:
        engine.close()


def _target(path: str) -> str:
    try:
        is_directory = stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        is_directory = False
    return f"files:{path}" if is_directory else path
