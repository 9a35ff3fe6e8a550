"""Trusting a shelf, and no longer trusting it: ``python -m coshelf trust PATH``, which needs no extra."""

from __future__ import annotations

import os
import stat

from coshelf.contract import Markable, OpenOptions
from coshelf.engines import open_engine
from coshelf.errors import ShelfPermissionError, Unsupported
from coshelf.system.paths import expanded

__all__ = ["revoke", "trust_shelf"]


def trust_shelf(path: str) -> None:
    """Note that this user trusts everything in a shelf, so that opening it loads any object.

    The note is for this user and this file; a copy is another file. Raises :class:`ShelfPermissionError` if other users
    can write the shelf, because they could store anything there afterwards. Raises what opening raises, too.

    >>> import coshelf, os, tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     coshelf.open(os.path.join(place, "a.shelf")).close()
    ...     coshelf.trust.trust_shelf(os.path.join(place, "a.shelf"))
    """
    path = expanded(path)
    # The mark lies elsewhere, as a rule, so that what cannot be written can be trusted, too.
    engine = open_engine(
        _target(path), OpenOptions(flag="w" if os.access(path.removeprefix("sqlite:"), os.W_OK) else "r")
    )
    try:
        if not isinstance(engine, Markable):
            raise Unsupported(f"the {engine.name} engine has no place to note that {engine.where} is trusted")
        reason = engine.exposure()
        if reason is not None:
            raise ShelfPermissionError(
                f"{path} cannot be trusted: {reason}\n"
                "  hint: see to it that nobody else can write it, or open it with trust=True"
            )
        engine.trust()
    finally:
        engine.close()


def revoke(path: str) -> bool:
    """Remove this user's note of trust. Return whether there was one."""
    engine = open_engine(_target(expanded(path)), OpenOptions(flag="r"))
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
