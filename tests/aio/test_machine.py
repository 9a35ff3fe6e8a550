"""The face for tasks against a dict, by the state machine of shelves."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from over_tasks import Loop, ShelfOverTasks

from coshelf import opening
from coshelf.aio import AsyncShelf
from coshelf.contract import Flag
from coshelf.testing import ShelfMachine

BOUNDED = settings(
    max_examples=2,
    stateful_step_count=20,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class _OverTasks(ShelfMachine):
    backend: ClassVar[str] = "asyncio"
    place_of: ClassVar[str] = "{}/under.test"

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="coshelf-machine-"))
        self.loop = Loop(self.backend)
        super().__init__()

    def open_shelf(self, flag: Flag = "c") -> Any:
        return ShelfOverTasks(self.loop, AsyncShelf(opening.open(self.place_of.format(self.directory), flag)))

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.loop.close()
            shutil.rmtree(self.directory)


class LmdbOverTasks(_OverTasks):
    pass


class MemoryOverTrio(_OverTasks):
    backend = "trio"
    place_of = "memory:"


class SqliteOverTasks(_OverTasks):
    place_of = "sqlite:{}/under.test"


TestLmdb = LmdbOverTasks.TestCase
TestLmdb.settings = BOUNDED
TestMemoryUnderTrio = MemoryOverTrio.TestCase
TestMemoryUnderTrio.settings = BOUNDED
TestSqlite = SqliteOverTasks.TestCase
TestSqlite.settings = BOUNDED
