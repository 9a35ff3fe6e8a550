"""A wait for a server is told long before it is given up."""

from __future__ import annotations

import logging
import socket
import threading

import pytest
from insides import until

import coshelf
from coshelf.engines import connections

pytest.importorskip("redis")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connections._SILENCE == 2
    monkeypatch.setattr(connections, "_SILENCE", 0.05)


def test_server_that_does_not_answer_is_told_while_it_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(coshelf.Unavailable):
            coshelf.open(f"redis://ann:secret@127.0.0.1:{port}/0", timeout=2)
    told = [record.getMessage() for record in caplog.records if record.name == "coshelf"]
    assert told[0] == f"waiting for redis://127.0.0.1:{port}/0: it has not answered yet; gives up after 2 s in all"
    assert "secret" not in caplog.text


def test_wait_is_told_by_a_thread_whose_beginning_nobody_waits_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(self: threading.Thread) -> None:
        pytest.fail("Thread.start waits for the thread, which may begin with a finalizer that waits for its starter")

    monkeypatch.setattr(threading.Thread, "start", start)
    with connections.told_if_slow("redis://host/0", 60):
        until(lambda: caplog.records)
    assert caplog.records[0].getMessage().startswith("waiting for redis://host/0: it has not answered yet")


def test_server_that_is_away_is_told_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    def read() -> None:
        raise ConnectionRefusedError("nobody \x1b[2J listens")

    with pytest.raises(coshelf.Unavailable):
        connections.repeated(read, lambda error: True, where="redis://host/0", timeout=0.6)
    told = [record.getMessage() for record in caplog.records if record.name == "coshelf"]
    reason = "ConnectionRefusedError: nobody \\x1b[2J listens"
    assert told == [f"waiting for redis://host/0: {reason}; gives up after 0.6 s in all"]


def test_quick_answer_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with connections.told_if_slow("redis://host/0", 60):
        pass
    assert connections.repeated(lambda: 1, lambda error: False, where="x", timeout=60) == 1
    assert [record for record in caplog.records if record.name.startswith("coshelf")] == []
