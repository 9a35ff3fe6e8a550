"""The mark, which proves that this user made this shelf on this machine. docs/format.md, "The trust mark".

Only a program that can read the user's secret can make a mark. A mark fits one file: store id, device and inode.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from hashlib import blake2b
from hmac import compare_digest
from itertools import islice
from pathlib import Path

from coshelf.errors import StorageError
from coshelf.system.file_systems.durable import sync_directory
from coshelf.system.files import flags, names
from coshelf.system.rights import profile_directories, users

__all__ = [
    "ROW_KEY",
    "check_secret",
    "has_place",
    "has_place_for_mark",
    "is_marked",
    "make_marked",
    "mark",
    "marked_elsewhere",
    "unmark",
]

ROW_KEY = b"\x01trust"
_SECRET_FILE = "COSHELF_SECRET_FILE"
_CONTEXT = b"coshelf trust 1\0"
_SECRET_BYTES = 32
_LEAST_SECRET = 16
_MOST = 1 << 20  # bytes of a secret; the rest is not read
_MOST_MARKS = 500  # marks that are read for a message


def mark(store_id: bytes, device: int, inode: int, path: str) -> bytes | None:
    """Mark a shelf as this user's own.

    If ``COSHELF_SECRET_FILE`` gives the secret, returns the body of the row :data:`ROW_KEY`, which the caller stores in
    the shelf. Otherwise puts the mark into the user's state directory, and returns None. A user without a place for
    state has no marks, so the shelf is then not trusted.
    """
    given = _given_secret()
    if given is not None:
        return b"\x02\x00" + _digest(given, store_id)
    try:
        directory = next(iter(_state_directories()))
        (directory / "trusted").mkdir(mode=0o700, parents=True, exist_ok=True)
        name = _name(_own_secret(directory), store_id, device, inode)
        _write_whole(directory / "trusted" / name, os.fsencode(path) + b"\n")
    except (OSError, StopIteration):  # StopIteration: no home directory
        return None
    return None


def make_marked(store_id: bytes, information: os.stat_result, path: str, make: Callable[[bytes | None], bool]) -> bool:
    """Mark a new file before it has its name, so that every process that finds it there finds its mark, too.

    Args:
        store_id: the id of the shelf that the file becomes.
        information: the ``os.stat`` of the file, which still has a temporary name.
        path: the name that it gets.
        make: called with the result of :func:`mark`. It makes the file, gives it its name, and returns whether it did.

    Returns the result of ``make``. If the file did not get its name, the mark is removed.
    """
    row = mark(store_id, information.st_dev, information.st_ino, path)
    made = False
    try:
        made = make(row)
    finally:
        if not made and not _leads_to(path, information):  # after an error it may have its name all the same
            unmark(store_id, information.st_dev, information.st_ino)
    return made


def _leads_to(path: str, information: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.lstat(path), information)
    except OSError:
        return False


def is_marked(store_id: bytes, device: int, inode: int, row: bytes | None) -> bool:
    """Whether the shelf bears this user's mark. ``row`` is the body of :data:`ROW_KEY`, if the shelf has it."""
    try:
        given = _given_secret()
    except ValueError:
        return False
    if given is not None:
        return row is not None and compare_digest(row[2:], _digest(given, store_id))
    return any(_mark_in(directory, store_id, device, inode) is not None for directory in _state_directories())


def unmark(store_id: bytes, device: int, inode: int) -> bool:
    """Remove the marks of a shelf from this user's state directories; return whether there were any."""
    found = [_mark_in(directory, store_id, device, inode) for directory in _state_directories()]
    for path in found:
        if path is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    return any(path is not None for path in found)


def _mark_in(directory: Path, store_id: bytes, device: int, inode: int) -> str | None:
    try:
        secret = _read(f"{directory}/secret", flags.NO_FOLLOW)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):  # this says nothing about the mark
            raise StorageError(
                error.errno, f"cannot look for marks of trust in {directory}: too many open files"
            ) from error
        return None
    path = f"{directory}/trusted/{_name(secret, store_id, device, inode)}"
    return path if len(secret) == _SECRET_BYTES and _is_file(path) else None


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _read(path: str | Path, extra: int = 0) -> bytes:
    """The content of a small file. Raises an error for a pipe or a device, without waiting for it."""
    descriptor = os.open(path, os.O_RDONLY | flags.NO_WAIT | flags.CLOSE_ON_EXEC | extra)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return os.read(descriptor, _MOST)
    finally:
        os.close(descriptor)


def marked_elsewhere(store_id: bytes) -> str | None:
    """The path of the marked shelf with this id, if this user has a mark for one and it still exists."""
    for directory in _state_directories():
        try:
            secret = _read(directory / "secret", flags.NO_FOLLOW)
            with os.scandir(directory / "trusted") as marks:
                for mark in islice(marks, _MOST_MARKS):
                    path = os.fsdecode(_read(Path(mark.path), flags.NO_FOLLOW).removesuffix(b"\n"))
                    with contextlib.suppress(OSError, ValueError):  # the path does not exist any more
                        found = os.stat(path)
                        if _name(secret, store_id, found.st_dev, found.st_ino) == mark.name:
                            return path
        except OSError:
            continue
    return None


def has_place_for_mark(path: str) -> bool:
    """Whether a shelf at this path could be marked by this user."""
    if os.environ.get(_SECRET_FILE):
        return os.access(path, os.W_OK)  # the mark is a row of the shelf
    return has_place()


def has_place() -> bool:
    """Whether this user has a place for marks: a secret of ``COSHELF_SECRET_FILE``, or a directory for state."""
    if os.environ.get(_SECRET_FILE):
        return True
    for directory in _state_directories():
        there = next(place for place in (directory, *directory.parents) if place.exists())
        if os.access(there, os.W_OK | os.X_OK):
            return True
    return False


def check_secret() -> None:
    """Raise ValueError if ``COSHELF_SECRET_FILE`` names no usable secret. It is called before a shelf is made."""
    _given_secret()


def _digest(secret: bytes, what: bytes) -> bytes:
    key = secret if len(secret) <= 64 else blake2b(secret).digest()
    return blake2b(_CONTEXT + what, key=key, digest_size=32).digest()


def _name(secret: bytes, store_id: bytes, device: int, inode: int) -> str:
    numbers = b"".join(number.to_bytes(8 if number < 1 << 64 else 16, "little") for number in (device, inode))
    return _digest(secret, store_id + numbers).hex()  # ReFS, of Windows, has numbers of 128 bits


def _given_secret() -> bytes | None:
    path = os.environ.get(_SECRET_FILE)
    if not path:
        return None
    try:
        secret = _read(Path(path))
    except OSError as error:
        raise ValueError(f"{_SECRET_FILE} names {path}, which cannot be read: {error.strerror}") from error
    if len(secret) < _LEAST_SECRET:
        raise ValueError(
            f"{_SECRET_FILE} names a file of {len(secret)} bytes; a secret must have at least {_LEAST_SECRET}"
        )
    return secret


def _state_directories() -> Iterator[Path]:
    """The directories for this user's state. Marks are made in the first of them and read in all.

    Several are read because the environment can differ, as that of cron does. A directory that belongs to another user
    is left out. With ``sudo``, the home in the environment is that of another user, and that user could not read a
    secret that root made there.
    """
    if not users.has_numbers:
        yield from _in_profile()
        return
    # Paths are text here: each opening calls this twice, and making Path objects took most of the time.
    base, home = os.environ.get("XDG_STATE_HOME"), os.environ.get("HOME")
    named = [base] if base and os.path.isabs(base) else []
    named += [f"{home}/.local/state"] if home and os.path.isabs(home) else []
    known = list(dict.fromkeys(map(os.path.normpath, named)))
    yield from (Path(path, "coshelf") for path in known if _is_mine(path))
    registered = users.home(users.effective())  # last: this reads a file
    if registered is not None:  # the user of a container need not have an account
        path = os.path.normpath(f"{registered}/.local/state")
        if path not in known and _is_mine(path):
            yield Path(path, "coshelf")


def _in_profile() -> Iterator[Path]:
    """The directory where files have no owners: in this user's profile, and not by a link that leads out of it."""
    profile = profile_directories.of_this_user()
    if profile is not None:
        path = os.path.realpath(os.path.join(profile, "AppData", "Local"))
        with contextlib.suppress(OSError):
            if profile_directories.names_below(profile, path) is not None:
                yield Path(path, "coshelf")


def _is_mine(path: str) -> bool:
    """Whether a directory, or the nearest one above it that exists, belongs to this user."""
    while True:
        with contextlib.suppress(OSError):
            return os.stat(path).st_uid == users.effective()
        above = os.path.dirname(path)
        if above == path:
            return False
        path = above


def _own_secret(directory: Path) -> bytes:
    path = directory / "secret"
    try:
        secret = _read(path, flags.NO_FOLLOW)
    except FileNotFoundError:
        os.chmod(directory, 0o700)
        _write_whole(path, os.urandom(_SECRET_BYTES))
        secret = _read(path, flags.NO_FOLLOW)  # another process may have been first
    if len(secret) != _SECRET_BYTES:
        raise OSError(f"{path} is not a secret of {_SECRET_BYTES} bytes")
    return secret


def _write_whole(path: Path, data: bytes) -> None:
    """Make a file of mode 0600, whole or not at all, also after a power cut. A file that exists already stays."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            names.link_new(temporary, str(path))
            sync_directory(path.parent)
        except FileExistsError:
            return
    finally:
        with contextlib.suppress(FileNotFoundError):  # where links are not made, the file itself got the name
            names.remove(temporary)
