"""The contract of engines, on each engine of this library."""

from __future__ import annotations

import dbm.dumb
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coshelf.contract import Engine, OpenOptions
from coshelf.engines import open_engine
from coshelf.system.file_systems.directory_changes import are_reported
from coshelf.system.processes import boot
from coshelf.testing import EngineContract


class TestLmdb(EngineContract):
    demands = (
        *("ordered=True", "snapshots=True", "atomic=crash", "exclusive=processes", "watch=doorbell"),
        *("shared=processes", "persistent", "acknowledged=machine", "consistency=strict", "cheap_count"),
        *("largest_batch=None", "largest_key=None", "tags"),
    )

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return open_engine(place / "under.test", options)


class TestLmdbWithCommitDurability(EngineContract):
    demands = (*TestLmdb.demands[:7], "acknowledged=durable", *TestLmdb.demands[8:])

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return open_engine(place / "under.test", replace(options, durability="commit"))


@pytest.mark.variant
class TestLmdbWithAPlainDelta(TestLmdb):
    """What a group may write is not written through the map."""

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return open_engine(place / "under.test", replace(options, mode=0o660))


@pytest.mark.variant
class TestLmdbWithoutADelta(TestLmdbWithCommitDurability):
    """As where nothing tells one boot from another."""

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(boot, "_BOOT_ID", "/proc/there/is/no/boot_id")
            return open_engine(place / "under.test", options)


class TestMemory(EngineContract):
    demands = (
        *("ordered=True", "snapshots=True", "atomic=process", "exclusive=threads", "watch=doorbell"),
        *("shared=threads", "persistent=False", "acknowledged=process", "consistency=strict", "cheap_count"),
        *("largest_batch=None", "largest_key=None", "largest_value=None", "tags", "turns=threads"),
    )

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return open_engine("memory:", options)


class _OnMapping(EngineContract):
    demands = (
        *("ordered=sorts", "snapshots=copies", "atomic=process", "exclusive=threads", "watch=doorbell"),
        *("shared=threads", "consistency=strict", "largest_batch=None", "largest_key=None", "largest_value=None"),
        *("tags", "turns=threads"),
    )


@pytest.mark.variant
class TestMappingOverDict(_OnMapping):
    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return open_engine(self.mappings().setdefault(place, {}), options)

    def mappings(self) -> dict[Path, dict[bytes, bytes]]:
        """The dicts of this test, one a place."""
        return self.__dict__.setdefault("_mappings", {})  # type: ignore[no-any-return]


class TestMappingOverDbm(_OnMapping):
    """dbm.dumb is the dbm that every platform has."""

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return open_engine(dbm.dumb.open(str(place / "under-test"), "c"), options)

    def reopen(self, engine: Engine, place: Path, options: OpenOptions) -> Engine:
        mapping: Any = engine
        mapping._mapping.close()
        return super().reopen(engine, place, options)


class TestFiles(EngineContract):
    demands = (
        *("ordered=sorts", "snapshots=copies", "atomic=none", "exclusive=processes"),
        "watch=doorbell" if are_reported() else "watch=poll",
        *("shared=processes", "persistent", "acknowledged=machine", "consistency=strict"),
        *("largest_batch=None", "largest_key=None", "largest_value=None"),
    )

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return open_engine(f"files:{place / 'under-test'}", options)


@pytest.mark.long
class TestFilesWithCommitDurability(TestFiles):
    share = 0.25  # each file of a batch is synced
    demands = (*TestFiles.demands[:7], "acknowledged=durable", *TestFiles.demands[8:])

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return super().open_engine(place, replace(options, durability="commit"))


class TestSqlite(EngineContract):
    demands = (
        *("ordered=True", "snapshots=True", "atomic=crash", "exclusive=processes", "watch=poll", "shared=processes"),
        *("persistent", "acknowledged=machine", "consistency=strict", "largest_batch=None", "largest_key=None"),
        *("cheap_count=False", "server", "tags"),
    )

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return open_engine(f"sqlite:{place / 'under.test'}", options)


@pytest.mark.variant
class TestSqliteWithCommitDurability(TestSqlite):
    demands = (*TestSqlite.demands[:7], "acknowledged=durable", *TestSqlite.demands[8:])

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return super().open_engine(place, replace(options, durability="commit"))
