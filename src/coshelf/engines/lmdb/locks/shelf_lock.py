"""The lock on a shelf's file, which every process takes before anything else."""

from __future__ import annotations

import errno

from coshelf.errors import Unsupported
from coshelf.system.locks import whole_file

__all__ = ["lock", "try_to_lock", "unlock"]

_NO_LOCKS = frozenset((errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EPERM, errno.EINVAL, errno.ENOLCK))


def lock(descriptor: int, kind: whole_file.Kind, path: str) -> None:
    """Wait for the lock. Raises :class:`Unsupported` where there are no such locks, OSError."""
    try:
        whole_file.take(descriptor, kind)
    except OSError as error:
        raise _explained(error, path) from error


def try_to_lock(descriptor: int, kind: whole_file.Kind, path: str) -> bool:
    """Take the lock if that needs no wait. Return whether it was taken. Raises as :func:`lock`."""
    try:
        return whole_file.try_to_take(descriptor, kind)
    except OSError as error:
        raise _explained(error, path) from error


def unlock(descriptor: int) -> None:
    """Let go of the lock, for every process that shares this open file. Where there are no such locks, do nothing."""
    try:
        whole_file.release(descriptor)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _explained(error: OSError, path: str) -> Exception:
    if error.errno not in _NO_LOCKS:
        return error
    return Unsupported(
        f"{path} cannot be a shelf on lmdb: this system, sandbox or file system refuses locks on whole files "
        f"({error.strerror}), without which processes would overwrite each other's data\n"
        "  hint: keep the shelf on a local disk, or use a shelf on a server (postgresql:, redis:)"
    )
