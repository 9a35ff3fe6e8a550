"""The next one after a death: everything that returned counts, and nothing appears later that did not count."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from insides import commits_to_base, environment_of, flush_all, is_clean, until
from support import Crew, Worker, beside

import coshelf
from coshelf.engines.lmdb.lmdb_file import BaseFile
from starting import environment

SCRIPTS = Path(__file__).parent / "scripts" / "deaths"

PLACES = [
    *("commit-applied", "commit-done", "flush-locked", "flush-copied", "flush-announced", "flush-committed"),
    *("empty-begun", "empty-done", "flush-done", "direct-numbered", "direct-announced", "direct-committed"),
]

ADDER = SCRIPTS / "adder.py"


@pytest.mark.parametrize("place", PLACES)
def test_no_update_is_lost_by_who_is_next(path: str, armed: Callable[..., Worker], place: str) -> None:
    with coshelf.open(path, flush_interval=1000, timeout=60) as shelf:
        shelf.update(total=0, mine=0, theirs=0)
        flush_all(shelf)
        victim = armed(f"{place}=kill@1000", ADDER, path, place)
        returned = victim.finish(-signal.SIGKILL).count("added")
        # At once, in three ways: compare and set, read and write under the lock, and through the versions.
        total, mine = shelf["total"], shelf["mine"]
        assert shelf.replace("total", total, total + 1)
        assert shelf.replace("mine", mine, mine + 1)
        with shelf.transaction() as t:
            t["total"] += 1
            t["mine"] += 1
        shelf.modify("total", lambda value: value + 1)
        shelf.modify("mine", lambda value: value + 1)
        for _ in range(2):
            assert shelf["mine"] == 3
            assert shelf["total"] == shelf["mine"] + shelf["theirs"]
            assert returned <= shelf["theirs"] <= returned + 1
            shelf.sync()
    with coshelf.open(path, "r") as shelf:
        assert shelf["total"] == shelf["mine"] + shelf["theirs"]
    assert beside(path) == ["a.shelf"]


# LMDB makes a commit visible behind its last write. Killed there, it is durable and nobody sees it.
BETWEEN = SCRIPTS / "between.py"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is needed to kill inside LMDB")
def test_a_commit_that_is_durable_but_not_visible_is_not_overwritten_unseen(path: str) -> None:
    with coshelf.open(path, flush_interval=1000, timeout=60) as shelf:
        shelf.update(a=0)
        flush_all(shelf)
        before = commits_to_base(path)
        writes = "pwrite64,pwritev2"  # pwrite() of glibc, and of musl
        tracer = subprocess.Popen(
            [
                *("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={writes}", "-P", path),
                *("-e", f"inject={writes}:delay_exit=60000000"),  # microseconds: more than it takes to kill it
                *(sys.executable, BETWEEN, path),
            ],
            stdout=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        assert tracer.stdout is not None
        pid = int(tracer.stdout.readline())
        until(lambda: commits_to_base(path) > before)
        os.kill(pid, signal.SIGKILL)
        tracer.kill()  # which would go on waiting
        assert tracer.communicate()[0] == ""
        assert "there" not in shelf, "it was killed too late"
        shelf.modify("a", lambda value: value + 10)
        assert (shelf["there"], shelf["a"]) == (1, 11)
        shelf.sync()
        assert (shelf["there"], shelf["a"]) == (1, 11)


def test_a_dead_holders_flag_is_cleared_by_the_next_with_the_lock_of_the_base_taken_once(
    crew: Crew, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins: list[BaseFile] = []
    begin_write = BaseFile.begin_write

    def begin(self: BaseFile) -> Any:
        begins.append(self)
        return begin_write(self)

    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf["a"] = 1
        flush_all(shelf)
        victim = crew.start(
            'shelf = coshelf.open(path)\nwith shelf.transaction() as t:\n    say("inside")\n    hear()', path
        )
        victim.expect("inside")
        page = environment_of(shelf).page
        assert page.is_claimed()
        victim.kill()
        assert page.is_claimed()
        monkeypatch.setattr(BaseFile, "begin_write", begin)
        shelf["b"] = 2  # a plain commit, which finds the flag
        assert not page.is_claimed()
        assert len(begins) == 1
        shelf["c"] = 3
        with shelf.transaction() as t:
            t["d"] = 4
        assert len(begins) == 1, "without a death the base is left alone"


def test_what_happens_to_who_takes_over_from_the_dead_the_rule_holds_for_the_next(
    crew: Crew, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted before the base's lock is taken, it must leave the flag as it was."""
    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf["a"] = 1
        flush_all(shelf)
        victim = crew.start(
            'shelf = coshelf.open(path)\nwith shelf.transaction() as t:\n    say("inside")\n    hear()', path
        )
        victim.expect("inside")
        victim.kill()

        def interrupted(self: BaseFile) -> Any:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(BaseFile, "begin_write", interrupted)
            with pytest.raises(KeyboardInterrupt):
                shelf["b"] = 2
        page = environment_of(shelf).page
        assert page.is_claimed()
        shelf["b"] = 2
        assert not page.is_claimed()
        with shelf.transaction(timeout=30) as t:
            assert dict(t) == {"a": 1, "b": 2}


def test_a_transaction_sees_everything_that_was_committed_before_it_began(crew: Crew, path: str) -> None:
    """Also what another process has just put into the delta, and what has just left it."""
    workers = crew.start_many(
        3,
        SCRIPTS / "sees_all_before.py",
        path,
    )
    for worker in workers:
        worker.finish()
    with coshelf.open(path, "r") as shelf:
        assert shelf["count"] == len(shelf.keys(prefix=("at",))) == 240
        assert list(shelf.keys(prefix=("at",))) == [("at", n) for n in range(1, 241)]


@pytest.mark.parametrize("place", ["flush-committed", "direct-committed"])
def test_compare_and_set_in_a_storm_of_deaths_adds_up(path: str, armed: Callable[..., Worker], place: str) -> None:
    with coshelf.open(path, flush_interval=0.001, timeout=60) as shelf:
        shelf.update(total=0, mine=0, theirs=0)
        mine = 0
        for _ in range(6):
            flush_all(shelf)
            victim = armed(f"{place}=kill@1000", ADDER, path, place)
            while victim.process.poll() is None:
                total = shelf["total"]
                if shelf.replace("total", total, total + 1):
                    mine += 1
            for _ in range(5):
                shelf.modify("total", lambda value: value + 1)
                mine += 1
            assert victim.process.returncode == -signal.SIGKILL, victim.errors()
            assert shelf["total"] == mine + shelf["theirs"]
        assert mine > 30 and shelf["theirs"] >= 6
    with coshelf.open(path, "r") as shelf:
        assert shelf["total"] == mine + shelf["theirs"]


def test_a_flush_thread_that_another_killed_left_nothing_to_stays_away(crew: Crew, path: str) -> None:
    """Whoever is next flushes what was left, once it reads and finds that nobody cares for it."""
    with coshelf.open(path, flush_interval=0) as shelf:
        victim = crew.start(
            SCRIPTS / "left_by_a_thread.py",
            path,
        )
        victim.expect("done")
        victim.kill()
        assert not is_clean(shelf)
        environment_of(shelf).page.delta.last_flush = 0.0  # some time ago
        assert shelf["a"] == 1
        until(lambda: is_clean(shelf))


@pytest.mark.parametrize("place", ["flush-committed", "direct-committed"])
def test_what_who_died_may_not_have_made_durable_is_made_so_before_sync_returns(
    path: str, armed: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Its commit can be seen; whether its last write had reached the disk, nobody knows."""
    syncs: list[BaseFile] = []

    def note(self: BaseFile) -> None:
        syncs.append(self)

    with coshelf.open(path, flush_interval=1000, timeout=60) as shelf:
        shelf.update(total=0, theirs=0)
        flush_all(shelf)
        monkeypatch.setattr(BaseFile, "sync", note)  # from here on no two flushes of ours meet
        shelf["total"] = 0
        shelf.sync()
        assert not syncs, "what we flushed ourselves we know"
        if place == "direct-committed":
            script = SCRIPTS / "dies_in_a_batch.py"
        else:
            script = ADDER
        armed(f"{place}=kill@1000", script, path, place).finish(-signal.SIGKILL)
        shelf.sync()
        assert len(syncs) == 1
        shelf["total"] = 0
        shelf.sync()
        shelf.sync()
        assert len(syncs) == 1
