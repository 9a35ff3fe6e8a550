"""The contract of engines, on real servers, and the table of what they grant."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from one_of_many import open_one_of_many
from redis_clock import MovingRedisClock
from valkey_servers import Cluster, Server

from coshelf.contract import Batch, Engine, OpenOptions
from coshelf.engines import open_engine
from coshelf.testing import EngineContract
from coshelf.testing.contract.requirements import grants

COMMON = (
    *("ordered=True", "snapshots=None", "exclusive=None", "watch=doorbell", "shared=processes", "persistent"),
    *("cheap_count", "expiry", "changes=all", "blobs=False", "largest_key", "largest_value", "largest_batch"),
)
GRANTED = {
    "a server that appends": (*COMMON, "atomic=crash", "acknowledged=everysec", "consistency=strict"),
    "a server that syncs": (*COMMON, "atomic=crash", "acknowledged=durable", "consistency=strict"),
    "a cluster": (*COMMON, "atomic=crash", "acknowledged=primary", "consistency=primary"),
    "a cluster, 16 buckets": (*COMMON, "atomic=shard", "acknowledged=primary", "consistency=primary"),
}
"""What each kind of server grants. Less is a failure, and a test that is skipped for want of these cannot be."""


def name_of(place: Path) -> str:
    return hashlib.sha256(str(place).encode()).hexdigest()[:16]


class TestRedis(EngineContract):
    demands = GRANTED["a server that appends"]

    base: str

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls, server_base: Server) -> None:
        cls.base = f"{server_base.url}/0/"

    def url(self, place: Path) -> str:
        return self.base + name_of(place)

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return open_engine(self.url(place), options)

    def moving_clock(self) -> MovingRedisClock:
        return MovingRedisClock()


class TestRedisCluster(TestRedis):
    demands = GRANTED["a cluster"]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls, cluster_base: Cluster) -> None:
        cls.base = f"{cluster_base.url}/"


@pytest.mark.variant
class TestRedisClusterWithBuckets(TestRedisCluster):
    demands = GRANTED["a cluster, 16 buckets"]

    def url(self, place: Path) -> str:
        return f"{super().url(place)}?buckets=16"

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return open_one_of_many(self.url(place), options)

    def test_reopen_arguments_open_the_same_entries_or_are_a_type_error(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("coshelf.testing.contract.opening.open_engine", open_one_of_many)
        super().test_reopen_arguments_open_the_same_entries_or_are_a_type_error(engine)


def test_commit_durability_is_granted_where_the_server_can_wait_for_its_disk(server: str) -> None:
    engine = open_engine(server, OpenOptions(durability="commit"))
    assert [demand for demand in GRANTED["a server that syncs"] if not grants(engine.capabilities, demand)] == []
    engine.commit(Batch(puts={b"\x30a": b"\x80\x04N."}))
    engine.close()
