"""The mark that says: this user made this shelf on this machine. docs/format.md, "The trust mark".

A mark can only be made by who knows the user's secret, and fits one file only: store id, device and inode.
"""

from __future__ import annotations

import os
import tempfile
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path

from coshelf.durable_files import sync_directory

__all__ = ["ROW_KEY", "check_secret", "is_marked", "mark"]

ROW_KEY = b"\x01trust"
_SECRET_FILE = "COSHELF_SECRET_FILE"
_CONTEXT = b"coshelf trust 1\0"
_SECRET_BYTES = 32
_LEAST_SECRET = 16


def mark(store_id: bytes, device: int, inode: int, path: str) -> bytes | None:
    """Mark a shelf as this user's own.

    Returns the body of the row :data:`ROW_KEY` to be stored in the shelf, if the secret is given by
    ``COSHELF_SECRET_FILE``; otherwise the mark lies in the user's state directory, and None is returned. A user without
    a place for state has no marks; the shelf then counts as somebody else's.
    """
    given = _given_secret()
    if given is not None:
        return b"\x02\x00" + _digest(given, store_id)
    try:
        directory = _state_directory()
        (directory / "trusted").mkdir(mode=0o700, parents=True, exist_ok=True)
        name = _name(_own_secret(directory), store_id, device, inode)
        _write_whole(directory / "trusted" / name, os.fsencode(path) + b"\n")
    except (OSError, RuntimeError):  # RuntimeError: no home directory
        return None
    return None


def is_marked(store_id: bytes, device: int, inode: int, row: bytes | None) -> bool:
    """Whether the shelf bears this user's mark. ``row`` is the body of :data:`ROW_KEY`, if the shelf has it."""
    given = _given_secret()
    if given is not None:
        return row is not None and compare_digest(row[2:], _digest(given, store_id))
    try:
        directory = _state_directory()
        secret = (directory / "secret").read_bytes()
    except (OSError, RuntimeError):
        return False
    return len(secret) == _SECRET_BYTES and (directory / "trusted" / _name(secret, store_id, device, inode)).exists()


def check_secret() -> None:
    """Raise ValueError if ``COSHELF_SECRET_FILE`` names no usable secret: before a shelf is made, not after."""
    _given_secret()


def _digest(secret: bytes, what: bytes) -> bytes:
    key = secret if len(secret) <= 64 else blake2b(secret).digest()
    return blake2b(_CONTEXT + what, key=key, digest_size=32).digest()


def _name(secret: bytes, store_id: bytes, device: int, inode: int) -> str:
    return _digest(secret, store_id + device.to_bytes(8, "little") + inode.to_bytes(8, "little")).hex()


def _given_secret() -> bytes | None:
    path = os.environ.get(_SECRET_FILE)
    if not path:
        return None
    try:
        secret = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{_SECRET_FILE} names {path}, which cannot be read: {error.strerror}") from error
    if len(secret) < _LEAST_SECRET:
        raise ValueError(f"{_SECRET_FILE} names a file of {len(secret)} bytes; a secret has at least {_LEAST_SECRET}")
    return secret


def _state_directory() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base and os.path.isabs(base) else Path.home() / ".local" / "state") / "coshelf"


def _own_secret(directory: Path) -> bytes:
    path = directory / "secret"
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        os.chmod(directory, 0o700)
        _write_whole(path, os.urandom(_SECRET_BYTES))
        secret = path.read_bytes()  # another process may have been first
    if len(secret) != _SECRET_BYTES:
        raise OSError(f"{path} is not a secret of {_SECRET_BYTES} bytes")
    return secret


def _write_whole(path: Path, data: bytes) -> None:
    """Make a file of mode 0600, whole or not at all, also after a power cut; one that is there already stays."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
            sync_directory(path.parent)
        except FileExistsError:
            return
    finally:
        os.unlink(temporary)
