"""Claims: when they are taken over, renewed and removed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import pytest

import coshelf
from coshelf.contract import CLAIMS, Batch, Engine
from coshelf.engines import renewing
from coshelf.memo import claims as module
from coshelf.memo.claims import Claim, Claims, Patience
from coshelf.system.processes import boot
from coshelf.system.processes.identity import Process, this_process
from coshelf.system.processes.lifetimes import lifetime_of


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(module, "_LOOK", 0.0)
    monkeypatch.setattr(renewing, "_PERIOD", 1000.0)  # no thread renews a claim in the middle of a test
    return coshelf.open("memory:").engine_for("test")


def take(engine: Engine, patience: Patience | None = None) -> Claim | None:
    claims = Claims(engine)
    return claims.take(claims.row(b"key"), patience or Patience())


def rows(engine: Engine) -> list[bytes]:
    return [row for row, _ in engine.scan(*CLAIMS)]


def pretend(monkeypatch: pytest.MonkeyPatch, process: Process) -> None:
    """Have the claims that are taken now name another process."""
    monkeypatch.setattr(module, "this_process", lambda: process)


@pytest.fixture
def ended() -> Process:
    """A process of this machine that has ended."""
    code = "from coshelf.system.processes.identity import this_process; print(list(this_process()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return Process(*eval(done.stdout))


ELSEWHERE = Process("another boot", 1, 1, 1)


def test_this_process_is_alive_and_an_ended_one_is_not(ended: Process) -> None:
    here = this_process()
    assert here.pid == os.getpid()
    assert here.is_alive() is True
    assert ended.is_alive() is False
    assert here._replace(start=here.start + 1).is_alive() is False  # another process had the same pid
    assert Process(here.boot, here.namespace, 1, 1).is_alive() is not None
    assert here._replace(pid=1 << 70).is_alive() is False


def test_process_of_another_machine_is_not_known() -> None:
    here = this_process()
    assert ELSEWHERE.is_alive() is None
    assert here._replace(namespace=1).is_alive() is None
    assert here._replace(start=0).is_alive() is None


def test_nothing_is_known_without_ids_of_boots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "_BOOT_ID", "/proc/there/is/none")
    assert this_process().boot == ""
    assert this_process().is_alive() is None


def test_child_that_ended_and_was_not_waited_for_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        found = lifetime_of(child.pid)
        assert found is not None
        assert this_process()._replace(pid=child.pid, start=found.start).is_alive() is False


def test_claim_is_taken_once_and_again_after_it_was_dropped(engine: Engine) -> None:
    claim = take(engine)
    assert claim is not None
    assert take(engine) is None
    assert rows(engine) == [claim.row]
    claim.claims.drop(claim)
    assert rows(engine) == []
    assert take(engine) is not None


def test_claim_of_an_ended_process_is_taken_at_once(
    engine: Engine, ended: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        pretend(patch, ended)
        old = take(engine)
    new = take(engine)
    assert old is not None
    assert new is not None
    old.renew()
    assert old.is_lost
    old.claims.drop(old)
    assert rows(engine) == [new.row]


@pytest.mark.parametrize("name", ["LEASE", "LONG_LEASE"])
def test_claim_that_is_not_renewed_is_taken_after_the_lease(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with monkeypatch.context() as patch:
        if name == "LEASE":
            pretend(patch, ELSEWHERE)
        old = take(engine)
    assert old is not None
    monkeypatch.setattr(module, name, -1.0)
    patience = Patience()
    assert take(engine, patience) is None
    old.renew()
    assert take(engine, patience) is None
    monkeypatch.setattr(module, name, 3600.0)
    assert take(engine, patience) is None
    monkeypatch.setattr(module, name, -1.0)
    assert take(engine, patience) is not None


def test_thread_renews_claims(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewing, "_PERIOD", 0.01)
    claim = take(engine)
    assert claim is not None
    first = engine.get(claim.row)
    bell = engine.doorbell(claim.row)
    assert first is not None
    end = time.monotonic() + 60
    while (entry := engine.get(claim.row)) == first:
        assert time.monotonic() < end
        bell.wait(bell.sequence(), 0.01)
    assert entry is not None
    claim.claims.drop(claim)
    assert rows(engine) == []


def test_claim_that_was_renewed_by_another_thread_meanwhile_is_dropped(engine: Engine) -> None:
    claim = take(engine)
    assert claim is not None
    stale = claim._version
    claim.renew()
    claim._version = stale
    claim.renew()
    claim._version = stale
    claim.claims.drop(claim)
    assert rows(engine) == []
    assert not claim.is_lost


def test_first_claim_removes_what_killed_processes_left(
    engine: Engine, ended: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    for process, count in ((ended, 5), (ELSEWHERE, 1)):
        with monkeypatch.context() as patch:
            pretend(patch, process)
            for number in range(count):
                claims = Claims(engine)
                claims._has_swept = True
                assert claims.take(claims.row(b"%s %d" % (process.boot.encode(), number)), Patience()) is not None
    assert len(rows(engine)) == 6
    claim = take(engine)
    assert claim is not None
    assert len(rows(engine)) == 2
    monkeypatch.setattr(module, "_FORGOTTEN", -1.0)
    Claims(engine)._sweep()
    assert rows(engine) == [claim.row]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"process": 1}',
        b"\xff",
        b'{"process": ["", 0, "x", 0]}',
        b'{"process": ["", 0, 1, 0], "token": "", "renewed": NaN, "waits": ["00", ""]}',
        b"[" * 10**5,
    ],
)
def test_claim_that_cannot_be_read_is_waited_for_and_then_taken(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    row = Claims(engine).row(b"key")
    engine.commit(Batch(puts={row: b"\x80\x03B" + len(content).to_bytes(4, "little") + content + b"."}))
    patience = Patience()
    assert take(engine, patience) is None
    monkeypatch.setattr(module, "LEASE", -1.0)
    assert take(engine, patience) is not None


def test_circle_of_waits_is_found_and_other_waits_are_not(engine: Engine) -> None:
    claims = Claims(engine)
    taken: dict[str, Any] = {name: claims.take(claims.row(name.encode()), Patience()) for name in "abcd"}
    for waiting, wanted in ("ab", "bc", "bd"):
        taken[waiting].wait_for(taken[wanted].row)
    own = [taken["a"].row]
    assert not claims.waits_for(taken["b"].row, own)
    taken["c"].wait_for(taken["a"].row)
    assert claims.waits_for(taken["b"].row, own)
    assert not claims.waits_for(taken["d"].row, own)
    taken["b"].wait_no_more(taken["c"].row)
    assert not claims.waits_for(taken["b"].row, own)
    taken["d"].wait_for(taken["d"].row)
    assert not claims.waits_for(taken["b"].row, own)
