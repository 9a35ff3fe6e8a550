"""The table of turns of a shelf of this engine: a file beside the database."""

from __future__ import annotations

import os
from collections.abc import Callable

from coshelf.contract import Engine
from coshelf.engines.sqlite.sidecars import Sidecars, turns_path
from coshelf.engines.turn_table.blocks import next_block
from coshelf.engines.turn_table.home import TableHome

__all__ = ["SqliteTableHome"]


class SqliteTableHome(TableHome):
    """The table beside the database."""

    def __init__(
        self, engine: Engine, path: str, sidecars: Sidecars, timeout: float, refuse_use: Callable[[], object]
    ) -> None:
        super().__init__(engine, turns_path(path), timeout, refuse_use)
        self._database = path
        self._sidecars = sidecars

    def like(self) -> os.stat_result:
        return os.stat(self._database)

    def refuse_exposed(self, descriptor: int) -> None:
        self._sidecars.refuse_exposed(self.path, descriptor)

    def next_block(self) -> int:
        return next_block(self.engine)
