"""A shelf against a dict, on each engine of this library."""

from __future__ import annotations

import dbm.dumb
import shutil
import tempfile
from pathlib import Path
from typing import Any, cast

from hypothesis import HealthCheck, Phase, settings

import coshelf
from coshelf.contract import Flag
from coshelf.testing import ShelfMachine

# The rest is from the profile in tests/conftest.py. Shrinking a failure takes minutes, so it is left to who looks into
# one: take `phases` away.
BOUNDED = settings(
    max_examples=30,
    stateful_step_count=30,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class _InDirectory(ShelfMachine):
    """Shelves that lie in a directory of their own."""

    def __init__(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="coshelf-machine-"))
        super().__init__()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            shutil.rmtree(self.place)


class LmdbMachine(_InDirectory):
    def open_shelf(self, flag: Flag = "c") -> coshelf.Shelf[Any, Any]:
        return coshelf.open(self.place / "under.test", flag)


class MemoryMachine(ShelfMachine):
    def open_shelf(self, flag: Flag = "c") -> coshelf.Shelf[Any, Any]:
        return coshelf.open("memory:", flag)


class MappingOverDictMachine(ShelfMachine):
    def __init__(self) -> None:
        self.mapping: dict[bytes, bytes] = {}
        super().__init__()

    def open_shelf(self, flag: Flag = "c") -> coshelf.Shelf[Any, Any]:
        return coshelf.open(self.mapping, flag)


class MappingOverDbmMachine(_InDirectory):
    def open_shelf(self, flag: Flag = "c") -> coshelf.Shelf[Any, Any]:
        self.mapping = cast("Any", dbm.dumb.open(str(self.place / "under-test"), "c"))  # noqa: SIM115 (closed in teardown)
        return coshelf.open(self.mapping, flag)

    def reopen(self, flag: Flag) -> coshelf.Shelf[Any, Any]:
        self.shelf.close()
        self.mapping.close()
        return self.open_shelf(flag)

    def teardown(self) -> None:
        self.mapping.close()
        super().teardown()


class SqliteMachine(_InDirectory):
    def open_shelf(self, flag: Flag = "c") -> coshelf.Shelf[Any, Any]:
        return coshelf.open(f"sqlite:{self.place / 'under.test'}", flag)


class FilesMachine(_InDirectory):
    def open_shelf(self, flag: Flag = "c") -> coshelf.Shelf[Any, Any]:
        return coshelf.open(f"files:{self.place / 'under.test'}", flag)


TestLmdb = LmdbMachine.TestCase
TestFiles = FilesMachine.TestCase
TestSqlite = SqliteMachine.TestCase
TestMemory = MemoryMachine.TestCase
TestMappingOverDict = MappingOverDictMachine.TestCase
TestMappingOverDbm = MappingOverDbmMachine.TestCase

TestLmdb.settings = settings(BOUNDED, max_examples=20)
TestFiles.settings = settings(BOUNDED, max_examples=10)
TestSqlite.settings = settings(BOUNDED, max_examples=10)
TestMemory.settings = BOUNDED
TestMappingOverDict.settings = settings(BOUNDED, max_examples=15)
TestMappingOverDbm.settings = settings(BOUNDED, max_examples=15)
