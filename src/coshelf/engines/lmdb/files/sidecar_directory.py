"""The hidden directory beside a shelf that holds its sidecars, and how it is recognised. docs/format.md.

Users give files any name, and a file ``bot-lock`` beside a shelf ``bot`` is theirs. So all sidecars lie in one
directory, ``.bot.coshelf``. Nothing in it is touched unless it has contents that only this library puts there.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from coshelf.engines.hidden_names import with_suffix
from coshelf.engines.lmdb.files.sidecar_files import lock_path, remove_file, turn_path
from coshelf.engines.lmdb.files.state_page import StatePage
from coshelf.errors import NotAShelf, StorageError
from coshelf.system.files.descriptors import name_to_open
from coshelf.system.files.flags import ASIDE, CLOSE_ON_EXEC, DIRECTORY, NO_FOLLOW
from coshelf.system.rights import users
from coshelf.system.rights.giving import give

__all__ = [
    "base_path",
    "blob_directory",
    "delta_path",
    "is_of_delta",
    "is_reserved",
    "is_sidecar",
    "make_directory",
    "name_for_lmdb",
    "refuse_another",
    "refuse_stranger",
    "remove_directory",
    "sidecar_directory",
    "state_path",
    "turns_path",
    "uses_path",
]

_DIRECTORY = ".coshelf"
_BLOBS = ".coshelf-blobs"
_BASE = "base"
_STATE = "state"
_USES = "uses"
_OPENING = re.compile(r"opening-[0-9a-f]{16}(-lock)?")
_TURNS = "turns"
_TABLES = (_TURNS, f"{_TURNS}-new", f"{_TURNS}-step")
_WRITERS = turn_path(_BASE)
_SIDECAR = re.compile(r"state|uses|turns(-new|-step)?|base-(lock|turn)|delta(-[1-9][0-9]*)?(-lock|-turn)?")
# Errors after which the directory stays: it is gone, there is more in it, or another user made it.
_STAYS = (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.EACCES, errno.EPERM, errno.EROFS)


@functools.lru_cache(maxsize=64)  # called some twenty times while a shelf is opened and closed
def sidecar_directory(shelf: str) -> str:
    """The directory of a shelf's sidecars."""
    place, name = os.path.split(shelf)
    return os.path.join(place, f".{with_suffix(name, _DIRECTORY)}")


@functools.lru_cache(maxsize=64)
def blob_directory(shelf: str) -> str:
    """The directory of a shelf's large buffers, which belongs to the closed shelf, too."""
    place, name = os.path.split(shelf)
    return os.path.join(place, with_suffix(name, _BLOBS))


def is_reserved(name: str) -> bool:
    """Whether a file name is one that the directories beside some shelf may have."""
    return name.endswith(_BLOBS) or (name.startswith(".") and name.endswith(_DIRECTORY))


@functools.lru_cache(maxsize=64)
def base_path(shelf: str) -> str:
    """The name of the base in the directory, to which LMDB's suffix is added for the name of its lock file."""
    return os.path.join(sidecar_directory(shelf), _BASE)


@functools.lru_cache(maxsize=64)
def state_path(shelf: str) -> str:
    return os.path.join(sidecar_directory(shelf), _STATE)


@functools.lru_cache(maxsize=64)
def uses_path(shelf: str) -> str:
    """The table of uses of a bounded shelf."""
    return os.path.join(sidecar_directory(shelf), _USES)


@functools.lru_cache(maxsize=64)
def turns_path(shelf: str) -> str:
    """The table of turns."""
    return os.path.join(sidecar_directory(shelf), _TURNS)


def delta_path(shelf: str, generation: int) -> str:
    return os.path.join(sidecar_directory(shelf), "delta" if generation == 0 else f"delta-{generation}")


def is_sidecar(name: str) -> bool:
    """Whether a file in the directory has the name of a sidecar."""
    return _SIDECAR.fullmatch(name) is not None


def is_of_delta(name: str) -> bool:
    return name.startswith("delta") and is_sidecar(name)


def refuse_stranger(shelf: str) -> None:
    """Raise if something else has the name of the shelf's directory. Nothing is changed."""
    directory = sidecar_directory(shelf)
    try:
        found = os.lstat(directory)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        raise NotAShelf(
            f"{directory} is not a directory, and {shelf} needs a directory of this name for the files beside it\n"
            "  hint: give it, or the shelf, another name"
        )
    # After a power cut any of our files may be missing or have any content. A directory is ours if all files in it have
    # our names, or if there is a state page.
    with os.scandir(directory) as entries:
        for entry in entries:
            is_known = is_sidecar(entry.name) or _OPENING.fullmatch(entry.name)
            if is_known and not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
                raise NotAShelf(f"{entry.path} is not a file, but {shelf} needs a file of this name beside it")
            if not is_known and not _has_state_page(shelf):
                raise NotAShelf(
                    f"{directory} has {entry.name!r} in it, which is not from coshelf, but {shelf} needs a directory "
                    "of this name for the files beside it\n  hint: move it away, or give the shelf another name"
                )


def _has_state_page(shelf: str) -> bool:
    try:
        descriptor = os.open(state_path(shelf), os.O_RDONLY | ASIDE)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return False
        raise
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode) and StatePage.is_one(descriptor)
    finally:
        os.close(descriptor)


def make_directory(shelf: str, like: os.stat_result) -> bool:
    """Make the directory, or take one that was left. Set the shelf's owner and mode. Return whether it is a new one.

    The caller is alone with the shelf.
    """
    directory, is_new = sidecar_directory(shelf), True
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        refuse_stranger(shelf)
        is_new = False
    descriptor = os.open(directory, os.O_RDONLY | DIRECTORY | NO_FOLLOW | CLOSE_ON_EXEC)
    try:
        if users.effective() in (0, os.fstat(descriptor).st_uid):
            mode = stat.S_IMODE(like.st_mode) & 0o666
            give(descriptor, like, mode | (mode & 0o444) >> 2)
    finally:
        os.close(descriptor)
    return is_new


def remove_directory(shelf: str, *, keeps_turns: bool = False) -> None:
    """Remove state page and directory, once the other sidecars are gone. The caller is alone with the shelf.

    If anything else is in the directory, both stay: then the state page shows that the directory is ours. With
    ``keeps_turns``, the table of turns and the directory stay.
    """
    directory = sidecar_directory(shelf)
    removed = (_USES, _WRITERS) if keeps_turns else (_USES, _WRITERS, *_TABLES)
    try:
        names = os.listdir(directory)
        for name in names:
            if name in removed or _OPENING.fullmatch(name):
                remove_file(os.path.join(directory, name))
        if all(name in (_STATE, _USES, _WRITERS, *_TABLES) or _OPENING.fullmatch(name) for name in names):
            remove_file(state_path(shelf))
            os.rmdir(directory)
    except OSError as error:
        if error.errno not in _STAYS:
            raise


@contextmanager
def name_for_lmdb(shelf: str, descriptor: int) -> Iterator[str]:
    """A name for the file with this descriptor, for a block that opens it. Beside this name LMDB finds the lock file.

    LMDB's lock file has the name of the data file and ``-lock``. So two links are made for a moment, one for each file.
    Both files stay in their places, and LMDB opens the very file that is open here.
    """
    file, lock = name_to_open(descriptor, shelf), lock_path(base_path(shelf))
    name = os.path.join(sidecar_directory(shelf), f"opening-{os.urandom(8).hex()}")
    try:
        _link(name, file, os.path.basename(lock))
    except OSError:  # no hard links on this file system, no space, or no right to make files; LMDB follows other links
        with _place_for_links(shelf) as place:
            name = os.path.join(place, _BASE)
            _link(name, file, lock)
            yield name
        return
    try:
        yield name
    finally:
        for each in (name, lock_path(name)):
            remove_file(each)


@contextmanager
def _place_for_links(shelf: str) -> Iterator[str]:
    try:
        place = tempfile.TemporaryDirectory(prefix="coshelf-")
    except OSError as error:
        raise StorageError(
            error.errno, f"cannot open the shelf: there is no directory for temporary files: {error.strerror}", shelf
        ) from error
    with place as directory:
        yield directory


def _link(name: str, file: str, lock: str) -> None:
    os.symlink(file, name)
    try:
        os.symlink(lock, lock_path(name))
    except BaseException:
        remove_file(name)
        raise


def refuse_another(shelf: str, name: str, identity: tuple[int, int]) -> None:
    """Raise if a name does not lead to the shelf's file."""
    try:
        found = os.stat(name)
    except OSError as error:
        raise StorageError(error.errno, f"cannot open the shelf by this name: {error.strerror}", name) from error
    if (found.st_dev, found.st_ino) != identity:
        raise StorageError(f"{name} leads to another file than {shelf}: something else has just replaced the file")
