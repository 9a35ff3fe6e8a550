"""Fixtures for tests on servers: one server of each kind for each test process."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import objects
import pytest
from postgresql import postgresql
from valkey_servers import Cluster, Server, a_name, single

from coshelf.system.threads.bridge import run

__all__ = ["postgresql"]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the tests of classes with ``runs_in_a_bridge`` in a bridge, each on a loop of its own."""
    if not getattr(pyfuncitem.cls, "runs_in_a_bridge", False):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(run(pyfuncitem.obj, **arguments))
    return True


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the credentials that the object stores accept."""
    for name, value in objects.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def moto() -> Iterator[objects.Server]:
    with objects.moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def weed() -> Iterator[objects.Weed]:
    with objects.Weed() as server:
        yield server


@pytest.fixture(scope="session")
def server_base() -> Iterator[Server]:
    """One server for all tests of this process."""
    place = Path(tempfile.mkdtemp(prefix="coshelf-redis-"))
    server = single(place)
    yield server
    server.kill()
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def cluster_base() -> Iterator[Cluster]:
    """One cluster, of three primaries with a replica each, for all tests of this process."""
    place = Path(tempfile.mkdtemp(prefix="coshelf-cluster-"))
    cluster = Cluster(place)
    cluster.be_patient()
    yield cluster
    cluster.kill()
    shutil.rmtree(place)


@pytest.fixture
def server(server_base: Server) -> str:
    """The URL of a shelf on one server. The shelf does not exist yet."""
    return f"{server_base.url}/0/{a_name()}"


@pytest.fixture
def cluster(cluster_base: Cluster) -> str:
    """The URL of a shelf on a cluster. The shelf does not exist yet."""
    return f"{cluster_base.url}/{a_name()}"
