"""What becomes of turns when processes and connections of servers fail."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from lease_engines import opened
from lease_stories import LONG, SHORT, LeaseStories, patient
from lock_histories import check, record
from support import Crew
from tcp_proxy import TcpProxy
from valkey_servers import Server

from coshelf.contract import OpenOptions
from coshelf.engines import open_engine
from coshelf.engines.leases.lines import Lines
from coshelf.testing.contract.task import PATIENCE


@pytest.fixture
def crew() -> Iterator[Crew]:
    with Crew() as crew:
        yield crew


class TestStories(LeaseStories):
    @pytest.fixture(params=["redis", "postgresql"])
    def lease_url(self, request: pytest.FixtureRequest) -> str:
        if request.param == "postgresql":
            return str(request.getfixturevalue("postgresql").url())
        return str(request.getfixturevalue("server"))


def test_holder_whose_connections_are_cut_learns_it(server_base: Server, server: str) -> None:
    with TcpProxy(server_base.port) as proxy, contextlib.ExitStack() as stack:
        url = server.replace(f":{server_base.port}/", f":{proxy.port}/")
        cut_off = stack.enter_context(contextlib.closing(open_engine(url, OpenOptions(timeout=1))))
        holder = Lines(cut_off, SHORT).join(b"door")
        assert holder.wait(0)
        engine = stack.enter_context(contextlib.closing(opened(server, LONG)))
        waiter = patient(engine)
        assert not waiter.wait(0)
        proxy.swallow = lambda request: True
        assert waiter.wait(PATIENCE)
        assert holder.is_lost
        assert not holder.wait(0)
        assert holder.token is not None
        assert waiter.token is not None
        assert waiter.token > holder.token
        holder.leave()
        assert waiter.wait(0)
        proxy.swallow = lambda request: False


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
def test_history_of_killed_processes_is_one_of_a_lock(
    crew: Crew, request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    url = request.getfixturevalue("postgresql").url() if kind == "postgresql" else request.getfixturevalue("server")
    check(record(crew, url, tmp_path / "journal", seed=1, players=3, rounds=15, kills=3))
