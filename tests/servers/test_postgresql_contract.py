"""The contract of engines, and the state machine, on a real PostgreSQL server."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from postgresql import MovedClock, Postgresql

import coshelf
from coshelf.contract import Engine, Flag, OpenOptions
from coshelf.engines import open_engine
from coshelf.testing import EngineContract, ShelfMachine

BOUNDED = settings(
    max_examples=12,
    stateful_step_count=20,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


class _OnServer:
    """Has the server of this process, which machines and contract classes cannot ask a fixture for."""

    server: ClassVar[Postgresql]


@pytest.fixture(autouse=True)
def _server(postgresql: Postgresql) -> None:
    _OnServer.server = postgresql


class TestPostgresql(EngineContract):
    demands = (
        *("ordered=True", "snapshots=True", "atomic=crash", "exclusive=None", "watch=poll", "shared=processes"),
        *("persistent", "consistency=strict", "largest_batch=None", "largest_key=2600", "largest_value=1073676288"),
        *(
            "cheap_count=False",
            "expiry",
            "changes=all",
            "acknowledged=machine",
            "server",
        ),  # the server of these tests has fsync off
    )

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return open_engine(_OnServer.server.moved_url(f"{place.parent.name}-{place.name}"), options)

    def moving_clock(self) -> MovedClock:
        return MovedClock(_OnServer.server)


class PostgresqlMachine(ShelfMachine):
    longest_key = 2_500

    def __init__(self) -> None:
        self.url = _OnServer.server.moved_url()
        super().__init__()

    def moving_clock(self) -> MovedClock:
        return MovedClock(_OnServer.server)

    def open_shelf(self, flag: Flag = "c") -> coshelf.Shelf[Any, Any]:
        return coshelf.open(self.url, flag)


TestPostgresqlShelf = PostgresqlMachine.TestCase
TestPostgresqlShelf.settings = BOUNDED
