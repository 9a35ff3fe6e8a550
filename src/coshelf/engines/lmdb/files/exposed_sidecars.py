"""Whether a user who may not write a shelf could have written what lies beside it, and is about to be used.

A delta is carried into the shelf, so whoever can write it can write the shelf. In a sticky directory such as /tmp
everybody can make files beside a shelf that is readable, and know all that they must say to be taken for its own.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from coshelf.engines.lmdb.files.sidecar_directory import is_sidecar, sidecar_directory
from coshelf.errors import NotAShelf, ShelfPermissionError
from coshelf.trust.exposure import exposure_of, exposure_to_others_than
from coshelf.trust.writers import Writers, writers_of

__all__ = ["exposure_of_sidecars", "refuse_exposed", "refuse_exposed_sidecars"]

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def refuse_exposed_sidecars(shelf: str, descriptor: int) -> None:
    """Raise if somebody could write the sidecars of a shelf who may not write its file. ``descriptor`` is the file's.

    Raises :class:`ShelfPermissionError`; :class:`NotAShelf` for a sidecar that is no file; OSError.
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
                with suppress(FileNotFoundError):  # another process has just put another delta in the place of one
                    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    _refuse(shelf, allowed, os.path.join(path, name), found, os.path.join(path, name))
    finally:
        os.close(directory)


def refuse_exposed(shelf: str, descriptor: int, path: str, sidecar: int) -> None:
    """As :func:`refuse_exposed_sidecars`, of one sidecar that is open: what is looked at is what will be used."""
    found = os.fstat(sidecar)
    if not stat.S_ISREG(found.st_mode):
        raise NotAShelf(f"{path} is no file, as the one of this name beside {shelf} is")
    _refuse(shelf, writers_of(os.fstat(descriptor), descriptor), path, found, sidecar)


def _refuse(shelf: str, allowed: Writers, path: str, found: os.stat_result, opened: int | str) -> None:
    exposed = None if stat.S_ISLNK(found.st_mode) else exposure_to_others_than(allowed, path, found, opened)
    if exposed is not None:
        raise ShelfPermissionError(
            errno.EPERM,
            f"{exposed}, but not {shelf} itself, so nothing is taken from there; "
            "if nobody has the shelf open, and what others left there is not wanted, remove the directory",
            sidecar_directory(shelf),
        )


def exposure_of_sidecars(shelf: str, state: os.stat_result) -> str | None:
    """Why somebody else than this user could write the sidecars; None if nobody can. ``state`` is the page in use."""
    path = sidecar_directory(shelf)
    try:
        directory = os.open(path, _FLAGS)
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    try:
        exposed = exposure_of(path, os.fstat(directory), directory)
        for name in os.listdir(directory):
            try:
                found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:  # another process has opened the shelf, or made another delta, just now
                continue
            if name == "state" and not os.path.samestat(found, state):
                return f"{path} holds another state page than the one that is in use"
            if exposed is None and is_sidecar(name):
                exposed = exposure_of(os.path.join(path, name), found)
        return exposed
    finally:
        os.close(directory)
