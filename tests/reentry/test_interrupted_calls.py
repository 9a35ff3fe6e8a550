"""A signal handler or finalizer comes in between two steps of a call, and calls the same shelf in the same thread."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_WORKER = os.path.join(os.path.dirname(__file__), "interrupting.py")
_INNER = "set,update,modify,incr,edit,transaction,setdefault,popitem,get,iterate,wait,sync"
_OUTER = (
    "set", "update", "large", "modify", "touch", "incr", "edit", "transaction", "setdefault", "popitem", "get",
    "iterate", "wait", "sync",
)  # fmt: skip
_TARGETS = ("lmdb", "sqlite", "files", "memory", "mapping")


def _run(path: str, engine: str, durability: str, outer: str, inner: str, steps: int, seed: int = 1) -> tuple[int, int]:
    """How many of the inner calls worked, and how many were refused at once. The worker ends if anything hangs."""
    target = {"lmdb": path, "sqlite": f"sqlite:{path}", "files": f"files:{path}", "memory": "memory:"}.get(
        engine, engine
    )
    ended = subprocess.run(
        [sys.executable, _WORKER, target, durability, outer, inner, str(steps), str(seed)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    worked, refused = ended.stdout.split()
    return int(worked), int(refused)


@pytest.mark.parametrize("outer", _OUTER)
def test_a_call_that_interrupts_another_works_or_is_refused_at_once(path: str, outer: str) -> None:
    worked, _ = _run(path, "lmdb", "interval", outer, _INNER, 60)
    assert worked


@pytest.mark.parametrize("outer", ["set", "large", "sync"])
def test_the_same_holds_where_each_commit_waits_for_the_disk(path: str, outer: str) -> None:
    worked, _ = _run(path, "lmdb", "commit", outer, _INNER, 40)
    assert worked


@pytest.mark.parametrize("outer", ["set", "modify", "iterate"])
@pytest.mark.parametrize("engine", _TARGETS[1:])
def test_the_same_holds_on_every_local_engine(path: str, engine: str, outer: str) -> None:
    worked, _ = _run(path, engine, "interval", outer, _INNER, 60)
    assert worked


@pytest.mark.parametrize("outer", ["modify", "popitem"])
@pytest.mark.parametrize("engine", ["lmdb", "memory"])
def test_the_same_holds_without_the_module(path: str, engine: str, outer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSHELF_NATIVE", "0")
    worked, _ = _run(path, engine, "interval", outer, _INNER, 60)
    assert worked


def test_a_plain_write_that_interrupts_a_plain_write_works(path: str) -> None:
    worked, refused = _run(path, "lmdb", "interval", "set", "set,update,modify,transaction", 120)
    assert worked
    assert not refused


@pytest.mark.parametrize("outer", ["set", "modify", "iterate", "sync"])
def test_a_handler_may_sync_and_close_at_any_step(path: str, outer: str) -> None:
    _run(path, "lmdb", "interval", outer, "sync_and_close", 25)


@pytest.mark.parametrize("engine", ["lmdb", "sqlite", "files"])
def test_an_opening_that_interrupts_another_works_or_is_refused_at_once(path: str, engine: str) -> None:
    worked, refused = _run(path, engine, "interval", "reopen", "open_another", 80)
    assert worked
    assert bool(refused) == (engine == "lmdb")


@pytest.mark.long
@pytest.mark.parametrize("durability", ["interval", "commit"])
@pytest.mark.parametrize("outer", _OUTER)
@pytest.mark.parametrize("engine", _TARGETS)
@pytest.mark.timeout(1200)
def test_a_call_may_be_interrupted_at_every_step(path: str, engine: str, outer: str, durability: str) -> None:
    _run(path, engine, durability, outer, _INNER, 3_000)
