"""The table of turns of a shelf of this engine: in the directory beside the root, where pickleshare does not look."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager

from coshelf.contract import Engine
from coshelf.engines.files.staging import Staging
from coshelf.engines.turn_table.home import TableHome
from coshelf.errors import ShelfPermissionError, StorageError
from coshelf.system.file_systems.durable import sync, sync_directory
from coshelf.system.files import flags
from coshelf.system.files.names import replace
from coshelf.system.files.os_errors import translated
from coshelf.system.rights.owners import set_mode
from coshelf.trust.exposure import exposure_to_others_than
from coshelf.trust.writers import writers_of

__all__ = ["FilesTableHome"]

_TURNS = "turns"
_BLOCK = "turns-block"
_LONGEST_NUMBER = 20


class FilesTableHome(TableHome):
    """The table in the staging directory. Beside it is a file with the number of the next block of tokens."""

    def __init__(
        self, engine: Engine, staging: Staging, root: int, timeout: float, refuse_use: Callable[[], object]
    ) -> None:
        super().__init__(engine, os.path.join(staging.path, _TURNS), timeout, refuse_use)
        self._staging = staging
        self._root = root

    def kept_open(self) -> AbstractContextManager[None]:
        with translated("open", "the table of turns", self.path):
            os.close(self._staging.shared(make=True))
        return super().kept_open()

    def like(self) -> os.stat_result:
        return os.fstat(self._root)

    def refuse_exposed(self, descriptor: int) -> None:
        allowed = writers_of(self.like(), self._root)
        exposed = exposure_to_others_than(allowed, self.path, os.fstat(descriptor), descriptor)
        if exposed is not None:
            raise ShelfPermissionError(
                errno.EPERM,
                f"{exposed}, but not {self.where} itself, so it is not used\n"
                "  hint: remove it, if no process has the shelf open",
                self.path,
            )

    def next_block(self) -> int:
        path = os.path.join(self._staging.path, _BLOCK)
        number = self._last_block(path) + 1
        descriptor = os.open(f"{path}-new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | flags.ASIDE, 0o600)
        try:
            with contextlib.suppress(PermissionError):  # another user's, who was killed
                set_mode(descriptor, self.like().st_mode & 0o666)
            os.write(descriptor, b"%d\n" % number)
            sync(descriptor)
        finally:
            os.close(descriptor)
        replace(f"{path}-new", path)
        sync_directory(self._staging.path)
        return number

    def _last_block(self, path: str) -> int:
        try:
            with open(path, "rb") as file:
                text = file.read(_LONGEST_NUMBER)
        except FileNotFoundError:
            return -1
        if not text.strip().isdigit():
            raise StorageError(
                f"{path} is damaged: it has no number, so tokens of turns might be given twice\n"
                "  hint: write a number into it that is greater than all before, or remove it if no token is kept"
            )
        return int(text)
