"""Containers share a shelf if they share a pid namespace; otherwise the second is told so, and nothing is lost."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support import Crew, Worker, beside, sidecars

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "containers"

NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
# With one program before it: in the first the worker is pid 1, in the second it is not.
CONTAINERS = {"equal pids": NAMESPACE, "other pids": (*NAMESPACE, "sh", "-c", '"$@"; exit $?', "sh")}


def _can_contain() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not _can_contain(), reason="cannot make pid namespaces here")

HOLDER = SCRIPTS / "container_holder.py"

SECOND = SCRIPTS / "container_second.py"


def _refuse(worker: Worker) -> None:
    said = worker.hear()
    assert said.startswith("refused")
    assert "is open in another pid namespace, probably another container" in said
    assert "hint: sqlite:PATH works" in said and "let the containers share a pid namespace" in said
    worker.finish()


@pytest.mark.parametrize("pids", CONTAINERS)
def test_another_pid_namespace_is_refused_with_the_cause_and_nothing_is_lost(crew: Crew, path: str, pids: str) -> None:
    holder = crew.start(HOLDER, path, within=NAMESPACE)
    holder.expect("holding")
    _refuse(crew.start(SECOND, path, pids, within=CONTAINERS[pids]))
    with pytest.raises(coshelf.StorageError, match="another pid namespace"):
        coshelf.open(path, timeout=0.1)
    holder.tell()
    holder.expect("disturbed")
    _refuse(crew.start(SECOND, path, pids, within=CONTAINERS[pids]))
    holder.tell()
    holder.finish()
    second = crew.start(SECOND, path, pids, within=CONTAINERS[pids])
    second.expect("open")
    second.finish()
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"count": 1, "second": 1}
        _refuse(crew.start(SECOND, path, pids, within=CONTAINERS[pids]))
    assert beside(path) == ["a.shelf"]


def test_where_nothing_tells_of_namespaces_equal_pids_are_refused_by_lmdb(crew: Crew, path: str) -> None:
    unknown = "namespaces unknown"
    holder = crew.start(HOLDER, path, unknown, within=NAMESPACE)
    holder.expect("holding")
    for end in (lambda: holder.expect("disturbed"), holder.finish):
        second = crew.start(SECOND, path, "equal pids", unknown, within=NAMESPACE)
        said = second.hear()
        assert said.startswith("refused")
        assert "its lock file is in use by a process with this one's pid (1), probably in another container" in said
        second.finish()
        holder.tell()
        end()
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"count": 1}


@pytest.mark.parametrize("pids", CONTAINERS)
def test_what_a_killed_container_leaves_stops_nobody(crew: Crew, path: str, pids: str) -> None:
    holder = crew.start(HOLDER, path, within=NAMESPACE)
    holder.expect("holding")
    holder.process.kill()
    assert holder.process.stdout is not None
    holder.process.stdout.read()  # ends when the process inside has died, too
    assert beside(path) == ["a.shelf", *sidecars(path)]
    second = crew.start(SECOND, path, pids, within=CONTAINERS[pids])
    second.expect("open")
    second.finish()
    assert beside(path) == ["a.shelf"]


def test_a_forked_child_in_a_namespace_of_its_own_is_refused(crew: Crew, path: str) -> None:
    worker = crew.start(
        SCRIPTS / "forked_into_a_namespace.py",
        path,
    )
    _refuse(worker)


def test_containers_that_share_a_pid_namespace_lose_no_update(crew: Crew, path: str) -> None:
    script = SCRIPTS / "count_in_containers.py"
    workers = [crew.start(script, path, within=("unshare", "--mount", "--uts", "--ipc", "--net")) for _ in range(2)]
    for worker in workers:
        worker.expect("ready")
    for worker in workers:
        worker.tell()
    for worker in workers:
        worker.expect("counted")
    for worker in workers:
        worker.tell()
        worker.finish()


def test_a_process_with_the_pid_of_a_dead_one_does_not_keep_its_readers(crew: Crew, path: str) -> None:
    worker = crew.start(
        SCRIPTS / "pid_of_a_dead_process.py",
        path,
        within=NAMESPACE,
    )
    worker.expect("{'-'}")  # those of the one that lives, at rest
    worker.finish()
