"""Checks whether a user who may not write a shelf could have written the sidecars that are about to be used.

A flush writes the delta to the shelf, so any user who can write the delta can write the shelf. In a sticky directory
such as /tmp any user can make files beside a shelf. If the shelf is readable, they know what these files must contain
to be taken for its sidecars.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from coshelf.engines.lmdb.files.sidecar_directory import is_sidecar, sidecar_directory
from coshelf.errors import NotAShelf, ShelfPermissionError
from coshelf.system.files.directories import status_of
from coshelf.system.files.flags import CLOSE_ON_EXEC, DIRECTORY, NO_FOLLOW
from coshelf.trust.exposure import exposure_of, exposure_to_others_than
from coshelf.trust.writers import Writers, writers_of

__all__ = ["exposure_of_sidecars", "refuse_exposed", "refuse_exposed_sidecars"]

_FLAGS = os.O_RDONLY | DIRECTORY | NO_FOLLOW | CLOSE_ON_EXEC


def refuse_exposed_sidecars(shelf: str, descriptor: int) -> None:
    """Raise if a user who may not write the shelf's file could write its sidecars. ``descriptor`` is the file's.

    Raises :class:`ShelfPermissionError`; :class:`NotAShelf` for a sidecar that is not a file; OSError.
    """
    allowed = writers_of(os.fstat(descriptor), descriptor)
    path = sidecar_directory(shelf)
    try:
        directory = os.open(path, _FLAGS)
    except FileNotFoundError:
        return
    try:
        _refuse(shelf, allowed, path, os.fstat(directory), directory)
        for name in os.listdir(directory):
            if is_sidecar(name):
                with suppress(FileNotFoundError):  # another process has just replaced the delta
                    found = status_of(name, directory)
                    _refuse(shelf, allowed, os.path.join(path, name), found, os.path.join(path, name))
    finally:
        os.close(directory)


def refuse_exposed(shelf: str, descriptor: int, path: str, sidecar: int) -> None:
    """Do the same as :func:`refuse_exposed_sidecars` for one open sidecar: this checks the very file that is used."""
    found = os.fstat(sidecar)
    if not stat.S_ISREG(found.st_mode):
        raise NotAShelf(f"{path} is not a file, but {shelf} needs a file of this name beside it")
    _refuse(shelf, writers_of(os.fstat(descriptor), descriptor), path, found, sidecar)


def _refuse(shelf: str, allowed: Writers, path: str, found: os.stat_result, opened: int | str) -> None:
    exposed = None if stat.S_ISLNK(found.st_mode) else exposure_to_others_than(allowed, path, found, opened)
    if exposed is not None:
        raise ShelfPermissionError(
            errno.EPERM,
            f"{exposed}, but not {shelf} itself, so nothing is taken from there; "
            "if no process has the shelf open, and what others left there is not wanted, remove the directory",
            sidecar_directory(shelf),
        )


def exposure_of_sidecars(shelf: str, state: os.stat_result) -> str | None:
    """Why another user could write the sidecars; None if no other user can. ``state`` is the page in use."""
    path = sidecar_directory(shelf)
    try:
        directory = os.open(path, _FLAGS)
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    try:
        exposed = exposure_of(path, os.fstat(directory), directory)
        for name in os.listdir(directory):
            try:
                found = status_of(name, directory)
            except FileNotFoundError:  # another process has just opened the shelf, or replaced the delta
                continue
            if name == "state" and not os.path.samestat(found, state):
                return f"{path} holds another state page than the one that is in use"
            if exposed is None and is_sidecar(name):
                exposed = exposure_of(os.path.join(path, name), found)
        return exposed
    finally:
        os.close(directory)
