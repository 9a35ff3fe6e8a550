"""The contract of engines, and a shelf against a dict, on servers: by calls that tasks make in bridges."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import objects
import pytest
from hypothesis import HealthCheck, Phase, settings
from over_tasks import Loop, ShelfOverTasks
from postgresql import MovedClock, Postgresql
from redis_clock import MovingRedisClock
from valkey_servers import Server, a_name

from coshelf import opening
from coshelf.aio import AsyncShelf
from coshelf.contract import Engine, Flag, OpenOptions
from coshelf.engines import open_engine
from coshelf.errors import Unsupported
from coshelf.testing import EngineContract, ShelfMachine

BOUNDED = settings(
    max_examples=2,
    stateful_step_count=20,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


class _Servers:
    """The servers of this process, which machines and contract classes cannot ask a fixture for."""

    redis: ClassVar[Server]
    postgresql: ClassVar[Postgresql]
    objects: ClassVar[objects.Server]


@pytest.fixture(autouse=True)
def _servers(server_base: Server, postgresql: Postgresql, moto: objects.Server) -> None:
    _Servers.redis, _Servers.postgresql, _Servers.objects = server_base, postgresql, moto


def name_of(place: Path) -> str:
    return hashlib.sha256(str(place).encode()).hexdigest()[:16]


class _InBridges(EngineContract):
    """Each test runs in a bridge (conftest.py), where all calls await the asynchronous client of the test's loop."""

    runs_in_a_bridge = True
    share = 0.05

    @pytest.fixture
    def engine(self, _servers: None, tmp_path: Path) -> Iterator[Engine]:
        with contextlib.closing(self.open_engine(tmp_path, OpenOptions())) as engine:
            yield engine

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return open_engine(self.url(place), options)

    def url(self, place: Path) -> str:
        raise NotImplementedError

    def test_scan_costs_what_is_taken_from_it(self, engine: Engine) -> None:
        self.share = 1.0  # fewer entries would not fill a page
        super().test_scan_costs_what_is_taken_from_it(engine)


@pytest.mark.long
class TestRedis(_InBridges):
    def url(self, place: Path) -> str:
        return f"{_Servers.redis.url}/0/{name_of(place)}"

    def moving_clock(self) -> MovingRedisClock:
        return MovingRedisClock()


@pytest.mark.long
class TestPostgresql(_InBridges):
    def url(self, place: Path) -> str:
        return _Servers.postgresql.moved_url(name_of(place))

    def moving_clock(self) -> MovedClock:
        return MovedClock(_Servers.postgresql)

    def test_snapshot_can_be_read_by_another_thread(self, engine: Engine) -> None:
        """The test is another one here: the connection of a snapshot belongs to the loop."""
        with engine.snapshot() as snapshot, ThreadPoolExecutor(1) as pool:
            with pytest.raises(Unsupported, match="another thread"):
                pool.submit(snapshot.get, b"0a").result()
            assert snapshot.get(b"0a") is None


@pytest.mark.long
class TestObjects(_InBridges):
    share = 0.02

    def url(self, place: Path) -> str:
        return _Servers.objects.url(name_of(place))

    def moving_clock(self) -> objects.MovedClock:
        return objects.MovedClock()

    def test_scan_costs_what_is_taken_from_it(self, engine: Engine) -> None:
        pytest.skip("the server's memory is that of this process")


class _MachineOverTasks(ShelfMachine):
    def __init__(self) -> None:
        self.loop = Loop("asyncio")
        self.url = self.new_url()
        super().__init__()

    def new_url(self) -> str:
        raise NotImplementedError

    def open_shelf(self, flag: Flag = "c") -> Any:
        return ShelfOverTasks(self.loop, AsyncShelf(opening.open(self.url, flag, trust=True)))

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.loop.close()


class RedisOverTasks(_MachineOverTasks):
    def new_url(self) -> str:
        return f"{_Servers.redis.url}/0/{a_name()}"

    def moving_clock(self) -> MovingRedisClock:
        return MovingRedisClock()


class PostgresqlOverTasks(_MachineOverTasks):
    longest_key = 2_500

    def new_url(self) -> str:
        return _Servers.postgresql.moved_url()

    def moving_clock(self) -> MovedClock:
        return MovedClock(_Servers.postgresql)


TestRedisMachine = RedisOverTasks.TestCase
TestRedisMachine.settings = BOUNDED
TestPostgresqlMachine = PostgresqlOverTasks.TestCase
TestPostgresqlMachine.settings = BOUNDED
