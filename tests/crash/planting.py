"""Sidecars as a power cut may leave them in the worst case: correct in every point, but from before the reboot.

Files that are made again have other inodes, and so a left delta would be put aside for that alone. What is planted here
has the shelf's own device, inode, store id and nonce, and a delta that is whole, with an entry that no program stored.
"""

from __future__ import annotations

import os
import shutil

import lmdb

from coshelf import keys, records
from coshelf.engines.lmdb.delta.state import PLAIN, DeltaIdentity, DeltaState
from coshelf.engines.lmdb.files.sidecar_directory import delta_path, make_directory, sidecar_directory, state_path
from coshelf.engines.lmdb.files.sidecar_files import make_file
from coshelf.engines.lmdb.files.state_page import StatePage
from coshelf.engines.lmdb.shelf_row import check_row

MAP = 1 << 20
POISON = "nobody stored this"


def plant(path: str, boot: bytes) -> None:
    """Leave a delta of that boot, and a state page that names it as valid, beside a shelf that no process has open."""
    shutil.rmtree(sidecar_directory(path), ignore_errors=True)
    make_directory(path, os.stat(path))
    descriptor = os.open(path, os.O_RDWR)
    row = check_row(descriptor, path)
    os.close(descriptor)
    key = keys.encode(POISON)
    body = b"\x80\x04N."
    environment = lmdb.open(delta_path(path, 0), map_size=MAP, subdir=False, lock=False, sync=False, lib_version=0)
    with environment.begin(write=True) as transaction:
        transaction.put(key, records.seal(body, records.checksum(key, body), row.sequence + 1))
    environment.close()
    shelf, delta = os.stat(path), os.stat(delta_path(path, 0))
    page = StatePage(make_file(state_path(path), shelf, StatePage.new(shelf.st_dev, shelf.st_ino)))
    identity = DeltaIdentity(PLAIN, 0, row.sequence, MAP, delta.st_dev, delta.st_ino, boot, row.store_id)
    state = DeltaState(page._page)
    state.announce(row.nonce, row.nonce)
    state.mark_dirty()
    state.set_identity(identity)
    page.abandon()
