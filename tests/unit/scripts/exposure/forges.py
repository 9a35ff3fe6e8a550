import os
import sys

import lmdb

from coshelf import keys, records
from coshelf.engines.lmdb.delta.state import PLAIN, DeltaIdentity, DeltaState
from coshelf.engines.lmdb.files.sidecar_directory import delta_path, make_directory, state_path
from coshelf.engines.lmdb.files.sidecar_files import make_file
from coshelf.engines.lmdb.files.state_page import StatePage
from coshelf.engines.lmdb.shelf_row import check_row
from coshelf.system.processes.boot import boot_id

path = sys.argv[1]
descriptor = os.open(path, os.O_RDONLY)
row = check_row(descriptor, path)
make_directory(path, os.stat(path))
os.chmod(os.path.dirname(state_path(path)), 0o777)
body = b"\x80\x04N."
environment = lmdb.open(delta_path(path, 0), map_size=1 << 20, subdir=False, lock=False, sync=False, lib_version=0)
with environment.begin(write=True) as transaction:
    key = keys.encode("planted")
    transaction.put(key, records.seal(body, records.checksum(key, body), row.sequence + 1))
for _number in range(row.sequence + 3):  # its commits have the numbers that come after the shelf's
    with environment.begin(write=True) as transaction:
        transaction.put(bytes(1) + b"number", records.seal(b"", 0, row.sequence))
environment.close()
shelf, delta = os.fstat(descriptor), os.stat(delta_path(path, 0))
page = StatePage(make_file(state_path(path), shelf, StatePage.new(shelf.st_dev, shelf.st_ino)))
state = DeltaState(page._page)
state.announce(row.nonce, row.nonce)
state.mark_dirty()
state.set_identity(DeltaIdentity(PLAIN, 0, row.sequence, 1 << 20, delta.st_dev, delta.st_ino, boot_id(), row.store_id))
page.abandon()
for name in ("state", "delta"):
    os.chmod(os.path.join(os.path.dirname(state_path(path)), name), int(sys.argv[2], 8))
