"""Containers with pid namespaces of their own share a shelf, unless two processes have the same pid."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from support import Crew, Worker, beside

import coshelf
from coshelf.engines.lmdb import environment as environments

# In each of these the worker is pid 1.
CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def _can_contain() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run([*CONTAINER, "true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not _can_contain(), reason="cannot make pid namespaces here")

HOLDER = """
assert os.getpid() == 1
shelf = coshelf.open(path, timeout=5)
shelf.update({number: (-1, "x" * 500) for number in range(100)})
snapshot = shelf.snapshot()
say("holding")
hear()
open(path + "-lock").close()  # drops what LMDB itself holds
say("disturbed")
hear()
assert set(snapshot.values()) == {(-1, "x" * 500)}
shelf.modify("count", lambda number: number + 1)
say("right")
hear()
shelf.close()
"""

SECOND = """
assert os.getpid() == 1
try:
    shelf = coshelf.open(path, timeout=5)
except StorageError as error:
    say("refused", *str(error).split())
else:
    shelf["second"] = shelf["count"]
    say("open")
    hear()
"""


def _kill(container: Worker) -> None:
    container.process.kill()
    assert container.process.stdout is not None
    container.process.stdout.read()  # ends when the process inside has died, too


def _overwrite(shelf: coshelf.Shelf[object, object], turns: int) -> None:
    for turn in range(turns):
        shelf.update(dict.fromkeys(range(100), (turn, "y" * 500)))


def test_the_second_of_two_equal_pids_is_refused_with_the_cause_and_nothing_is_lost(crew: Crew, path: str) -> None:
    holder = crew.start(HOLDER, path, within=CONTAINER)
    holder.expect("holding")

    def refused() -> None:
        said = crew.start(SECOND, path, within=CONTAINER).hear()
        assert said.startswith("refused")
        assert "a process with this one's pid (1), probably in another container" in said
        assert "let the containers share a pid namespace" in said

    refused()
    holder.tell()
    holder.expect("disturbed")
    refused()
    with coshelf.open(path) as shelf:
        shelf["count"] = 0
        _overwrite(shelf, 140)
        holder.tell()
        holder.expect("right")
        assert shelf["count"] == 1
        refused()
        holder.tell()
        holder.finish()
        second = crew.start(SECOND, path, within=CONTAINER)
        second.expect("open")
        assert shelf["second"] == 1
        second.tell()
        second.finish()
    assert beside(path) == ["a.shelf"]


def test_processes_with_different_pids_in_two_namespaces_lose_no_update(crew: Crew, path: str) -> None:
    script = """
        shelf = coshelf.open(path, timeout=20)
        say("ready")
        hear()
        for turn in range(300):
            shelf.modify("count", lambda number: number + 1, default=0)
            if turn % 50 == 0:
                with shelf.transaction() as t, shelf.snapshot() as snapshot:
                    assert snapshot["count"] == t["count"]
        say("counted")
        hear()
        assert shelf["count"] == 600
        shelf.close()
        """
    workers = [crew.start(script, path, within=CONTAINER), crew.start(script, path)]
    for worker in workers:
        worker.expect("ready")
    for step in ("counted", None):
        for worker in workers:
            worker.tell()
        for worker in workers:
            if step:
                worker.expect(step)
            else:
                worker.finish()
    with coshelf.open(path) as shelf:
        assert shelf["count"] == 600


def test_a_program_killed_and_started_again_with_the_same_pid_does_not_keep_its_old_readers(
    crew: Crew, path: str
) -> None:
    with coshelf.open(path) as shelf:
        shelf["count"] = 0
        killed = crew.start(HOLDER, path, within=CONTAINER)
        killed.expect("holding")
        _kill(killed)
        again = crew.start(SECOND, path, within=CONTAINER)  # before anybody looked for dead readers
        again.expect("open")
        _overwrite(shelf, 140)
        [environment] = environments._registry._open.values()
        readers = [line.split() for line in environment._lmdb.readers().splitlines()[1:]]
        # Those of the one that lives are at rest.
        assert {txnid for pid, _, txnid in readers if pid == "1"} == {"-"}
        again.tell()
        again.finish()
