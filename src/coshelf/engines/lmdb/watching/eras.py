"""What the first opener of a shelf learns from the changes that the base has."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.watching.history import marker_in

if TYPE_CHECKING:
    from coshelf.engines.lmdb.lmdb_file import BaseFile
    from coshelf.engines.lmdb.watching.watch_state import WatchState

__all__ = ["begin_era"]


def begin_era(watch: WatchState, base: BaseFile, path: str) -> None:
    """If the base has changes: keep more of them for as long as was promised, and begin a later era than theirs.

    The caller is alone with the shelf. A state page that dead processes left goes on with its own era.
    """
    with translated(path, "read"), base.begin() as transaction:
        marker = marker_in(transaction)
    if marker is not None:
        watch.begin_after(marker.eras[-1][0], marker.until - time.time())
