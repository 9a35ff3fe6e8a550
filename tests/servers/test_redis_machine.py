"""A shelf against a dict, on real servers."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from one_of_many import open_one_of_many
from redis_clock import MovingRedisClock
from valkey_servers import Cluster, Server, a_name

import coshelf
from coshelf import opening
from coshelf.contract import EVERYTHING_GONE, Flag, OpenOptions
from coshelf.mapping.namespace import Namespace
from coshelf.testing import ShelfMachine
from coshelf.values.front_doors import PICKLES

# Shrinking a failure takes minutes, so it is left to who looks into one.
BOUNDED = settings(
    max_examples=12,
    stateful_step_count=25,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class _OnServer(ShelfMachine):
    base: ClassVar[str]
    query: ClassVar[str] = ""

    def __init__(self) -> None:
        self.url = f"{self.base}{a_name()}{self.query}"
        super().__init__()

    def open_shelf(self, flag: Flag = "c") -> coshelf.Shelf[Any, Any]:
        return coshelf.open(self.url, flag, trust=True)

    def moving_clock(self) -> MovingRedisClock:
        return MovingRedisClock()


class RedisMachine(_OnServer):
    pass


class ClusterMachine(_OnServer):
    pass


class BucketsMachine(_OnServer):
    query = "?buckets=16"

    def open_shelf(self, flag: Flag = "c") -> coshelf.Shelf[Any, Any]:
        engine = open_one_of_many(self.url, OpenOptions(flag=flag))
        if flag == "n":
            engine.commit(EVERYTHING_GONE)
        return opening._shelf(engine, PICKLES, flag, Namespace(), writeback=False)


TestRedis = RedisMachine.TestCase
TestCluster = ClusterMachine.TestCase
TestBuckets = BucketsMachine.TestCase
TestRedis.settings = BOUNDED
TestCluster.settings = TestBuckets.settings = settings(BOUNDED, max_examples=6)


@pytest.fixture(autouse=True)
def _server(request: pytest.FixtureRequest) -> None:
    """The servers that a machine needs, and no others."""
    if request.cls is TestRedis:
        server: Server = request.getfixturevalue("server_base")
        RedisMachine.base = f"{server.url}/0/"
    else:
        cluster: Cluster = request.getfixturevalue("cluster_base")
        ClusterMachine.base = BucketsMachine.base = f"{cluster.url}/"
