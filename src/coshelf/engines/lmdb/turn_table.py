"""The table of turns of a shelf of this engine: a sidecar, which goes with the last process that closes the shelf."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager

from coshelf.contract import Engine
from coshelf.engines.lmdb.environment import Environment
from coshelf.engines.lmdb.files.sidecar_directory import turns_path
from coshelf.engines.turn_table.blocks import next_block
from coshelf.engines.turn_table.home import TableHome

__all__ = ["LmdbTableHome"]


class LmdbTableHome(TableHome):
    """The table in the directory of sidecars."""

    def __init__(
        self, engine: Engine, environment: Environment, timeout: float, refuse_use: Callable[[], object]
    ) -> None:
        super().__init__(engine, turns_path(environment.path), timeout, refuse_use)
        self._environment = environment

    def like(self) -> os.stat_result:
        return self._environment.files.status

    def refuse_exposed(self, descriptor: int) -> None:
        self._environment.files.refuse_exposed(self.path, descriptor)

    def next_block(self) -> int:
        return next_block(self.engine, self.engine.commit_held)

    def kept_open(self) -> AbstractContextManager[None]:
        return self._environment.inside()
