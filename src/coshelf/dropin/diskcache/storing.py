"""Values that are being stored, while another process mends the directory."""

from __future__ import annotations

import functools
import os
import time
from typing import Any

from coshelf.dropin.diskcache.layout import FILENAME, Stored
from coshelf.dropin.diskcache.rows import Rows
from coshelf.dropin.diskcache.upkeep import Upkeep

__all__ = ["Storing"]


class Storing(Upkeep):
    """What the calls of a cache that store a value have in common.

    A value's file is written before its row is committed, so ``check(fix=True)`` of another process may take the file
    for one that was left over. It removes such files under the exclusive lock. So a file that exists after the commit
    will stay.
    """

    def _see_to_file(
        self, key: Any, raw: bool, value: Any, read: bool, expire_time: float | None, tag: Any, stored: Stored
    ) -> None:
        """Store a value again if its file was removed before its row was committed.

        Raises OSError for a stream, which cannot be read again. The entry is gone then.
        """
        while not self._has_file(key, raw, stored):
            if read and type(value) is not bytes:
                self._store.step(functools.partial(_remove, key=key, raw=raw), retry=True)
                raise OSError(
                    f"check(fix=True) of another process removed the file of a stream while it was stored in "
                    f"{self._directory}; nothing was stored\n  hint: store it again"
                )
            stored = self._disk.store(value, read)
            step = functools.partial(
                Rows.store, key=key, raw=raw, now=time.time(), expire_time=expire_time, tag=tag, stored=stored
            )
            self._store.step(step, retry=True, new_file=stored[2])

    def _has_file(self, key: Any, raw: bool, stored: Stored) -> bool:
        """Whether a value that was just stored has its file, or was replaced since."""
        name = stored[2]
        if name is None or os.path.exists(os.path.join(self._directory, name)):
            return True
        row = self._store.find(key, raw)
        return row is None or row[FILENAME] != name


def _remove(rows: Rows, key: Any, raw: bool) -> None:
    row = rows.find(key, raw)
    if row is not None:
        rows.remove(key, raw, row)
