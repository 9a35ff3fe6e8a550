"""Reads commits that a dead process left in the delta, in a process that cannot flush them.

A process cannot flush them if its user has no rights, on a read-only file system, or on a full disk.
"""

from __future__ import annotations

import contextlib
import errno
import os

import lmdb

from coshelf import records
from coshelf.engines.lmdb.delta.check import refuse_malformed_delta
from coshelf.engines.lmdb.delta.files import belongs
from coshelf.engines.lmdb.delta.left_log import newer_rows
from coshelf.engines.lmdb.delta.rows_of_table import all_rows
from coshelf.engines.lmdb.delta.state import LOG, DeltaIdentity, DeltaState
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.files.exposed_sidecars import refuse_exposed, refuse_exposed_sidecars
from coshelf.engines.lmdb.files.sidecar_directory import delta_path, state_path
from coshelf.engines.lmdb.files.state_page import SIZE, StatePage
from coshelf.engines.lmdb.shelf_row import ShelfRow
from coshelf.errors import ShelfPermissionError, StorageError
from coshelf.system.files.descriptors import name_to_open
from coshelf.system.files.flags import ASIDE
from coshelf.system.files.positions import read_at

__all__ = ["left_rows", "left_state"]

_FLAGS = os.O_RDONLY | ASIDE
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM)


def left_rows(path: str, descriptor: int, row: ShelfRow) -> dict[bytes, bytes]:
    """The rows in the delta of this shelf that are newer than those of the base, in order. Mostly there are none.

    The caller has the shelf's file locked, so that no other process has it open. A delta that this user may not read
    counts as empty.

    Raises :class:`ShelfPermissionError` if other users could have written the rows, :class:`DamagedShelf`.
    """
    try:
        state = left_state(path, descriptor)
        if state is None or state.is_clean() or not belongs(path, row, state):
            return {}
        refuse_malformed_delta(descriptor, path, row, state)
        return _newer(path, descriptor, state.identity(), row.sequence)
    except ShelfPermissionError:
        raise
    except OSError as error:
        if isinstance(error, StorageError) or error.errno not in _ABSENT:
            raise
        return {}


def left_state(path: str, descriptor: int) -> DeltaState | None:
    """A copy of the delta's part of the state page; None if the page belongs to another file.

    Raises :class:`ShelfPermissionError` if other users could have written the page, OSError.
    """
    page = os.open(state_path(path), _FLAGS)
    try:
        information = os.fstat(descriptor)
        refuse_exposed_sidecars(path, descriptor)
        refuse_exposed(path, descriptor, state_path(path), page)
        if not StatePage.names(page, information.st_dev, information.st_ino):
            return None
        return DeltaState(bytearray(read_at(page, SIZE, 0)))
    finally:
        os.close(page)


def _newer(path: str, descriptor: int, identity: DeltaIdentity, flushed: int) -> dict[bytes, bytes]:
    name = delta_path(path, identity.generation)
    delta = os.open(name, _FLAGS)
    try:
        refuse_exposed(path, descriptor, name, delta)
        if identity.kind == LOG:
            return newer_rows(delta, name, flushed)
        with (
            translated(path, "read"),
            contextlib.closing(
                lmdb.open(
                    name_to_open(delta, name),
                    map_size=identity.map_size, subdir=False, readonly=True, lock=False, create=False, lib_version=0,
                )
            ) as environment,
            environment.begin() as transaction,
        ):  # fmt: skip
            return {key: record for key, record in all_rows(transaction) if records.version(record) > flushed}
    finally:
        os.close(delta)
