"""The files of the delta: makes and removes them, and tells whether a left delta still belongs to the shelf.

The first opener does all of this while it is alone with the shelf. Only a delta is made later.
"""

from __future__ import annotations

import os
import stat

from coshelf import native
from coshelf.engines.lmdb.delta.state import DIRECT, LOG, MAPPED, PLAIN, DeltaIdentity, DeltaState
from coshelf.engines.lmdb.files.sidecar_directory import delta_path, is_of_delta, sidecar_directory
from coshelf.engines.lmdb.files.sidecar_files import lock_path, make_file, make_lock_file, remove_file, turn_path
from coshelf.engines.lmdb.shelf_row import ShelfRow
from coshelf.system.file_systems.kinds import type_of
from coshelf.system.file_systems.space import can_reserve
from coshelf.system.processes.boot import boot_id
from coshelf.system.rights import users

__all__ = ["belongs", "decide_kind", "make_delta_files", "remove_all_delta_files", "remove_delta_files"]

# File systems on which a page can always be written through the map once its space was reserved.
_PREALLOCATING = ("ext4", "xfs", "tmpfs")


def belongs(path: str, row: ShelfRow, state: DeltaState) -> bool:
    """Whether the delta that a left state page names belongs to this shelf, in this state, and to this boot.

    Raises OSError if this is not known.
    """
    identity = state.identity()
    if not state.is_made or identity.boot != boot_id() or identity.store_id != row.store_id:
        return False
    if not state.knows(row.nonce):
        return False
    try:
        information = os.lstat(delta_path(path, identity.generation))
    except FileNotFoundError:
        return False
    return stat.S_ISREG(information.st_mode) and (information.st_dev, information.st_ino) == (
        identity.device,
        identity.inode,
    )


def decide_kind(path: str, information: os.stat_result) -> int:
    """What kind a new delta of this shelf is: DIRECT, PLAIN, MAPPED or LOG."""
    if boot_id() is None:
        return DIRECT
    if not can_reserve:
        return PLAIN
    private = information.st_uid == users.effective() and not stat.S_IMODE(information.st_mode) & 0o077
    if not private or type_of(path) not in _PREALLOCATING:
        return PLAIN
    return LOG if native.shares_memory else MAPPED


def make_delta_files(
    path: str, information: os.stat_result, store_id: bytes, kind: int, generation: int, offset: int
) -> DeltaIdentity:
    """Make the files of an empty delta, with the owner and mode of the shelf. They have no size yet. Raises OSError.

    The number of its first commit is the one after ``offset``.
    """
    name = delta_path(path, generation)
    descriptor = make_file(name, information)
    try:
        made = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if kind != LOG:
        make_lock_file(name, information)
    boot = boot_id()
    assert boot is not None
    return DeltaIdentity(kind, generation, offset, 0, made.st_dev, made.st_ino, boot, store_id)


def remove_delta_files(path: str, generation: int) -> None:
    """Remove the files of one delta."""
    name = delta_path(path, generation)
    remove_file(name)
    remove_file(lock_path(name))
    remove_file(turn_path(name))


def remove_all_delta_files(path: str) -> None:
    """Remove the files of all deltas: the last one, and those of processes that died while making or removing one."""
    directory = sidecar_directory(path)
    for name in os.listdir(directory):
        if is_of_delta(name):
            remove_file(os.path.join(directory, name))
