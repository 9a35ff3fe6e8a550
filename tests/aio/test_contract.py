"""The contract of engines, over calls that tasks make in worker threads: a task is an owner as a thread is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from over_tasks import EngineOverTasks, Loop

from coshelf.contract import Engine, OpenOptions
from coshelf.engines import open_engine
from coshelf.mapping.handle import Handle
from coshelf.testing import EngineContract


class _OverTasks(EngineContract):
    share = 0.2
    backend = "asyncio"

    @pytest.fixture(autouse=True)
    def _loop(self) -> Iterator[None]:
        self.loop = Loop(self.backend)
        yield
        self.loop.close()

    @pytest.fixture
    def engine(self, _loop: None, tmp_path: Path) -> Iterator[Engine]:
        engine = self.open_engine(tmp_path, OpenOptions())
        yield engine
        engine.close()

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        engine = open_engine(self.target(place), options)
        return EngineOverTasks(self.loop, engine, Handle(engine, None, options.flag, open_engine))  # type: ignore[arg-type]

    def target(self, place: Path) -> Any:
        return place / "under.test"


class TestLmdb(_OverTasks):
    pass


@pytest.mark.long
class TestMemoryUnderTrio(_OverTasks):
    backend = "trio"

    def target(self, place: Path) -> Any:
        return "memory:"


@pytest.mark.long
class TestLmdbUnderTrio(_OverTasks):
    backend = "trio"


@pytest.mark.long
class TestSqlite(_OverTasks):
    def target(self, place: Path) -> Any:
        return f"sqlite:{place / 'under.test'}"


@pytest.mark.long
class TestFiles(_OverTasks):
    def target(self, place: Path) -> Any:
        return f"files:{place / 'under.test'}"
