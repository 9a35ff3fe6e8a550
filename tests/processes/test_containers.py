"""Containers share a shelf if they share a pid namespace; otherwise the second is told so, and nothing is lost."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from support import SIDECARS, Crew, Worker, beside

import coshelf

NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
# With one program before it: in the first the worker is pid 1, in the second it is not.
CONTAINERS = {"equal pids": NAMESPACE, "other pids": (*NAMESPACE, "sh", "-c", '"$@"; exit $?', "sh")}


def _can_contain() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not _can_contain(), reason="cannot make pid namespaces here")

HOLDER = """
assert os.getpid() == 1
shelf = coshelf.open(path, timeout=5)
shelf["count"] = 0
snapshot = shelf.snapshot()
say("holding")
hear()
open(os.path.join(os.path.dirname(path), ".a.shelf.coshelf/base-lock")).close()  # drops what LMDB itself holds
say("disturbed")
hear()
shelf["count"] += 1
assert snapshot["count"] == 0
"""

SECOND = """
assert (os.getpid() == 1) == (sys.argv[2] == "equal pids")
try:
    shelf = coshelf.open(path, timeout=0.1)
except StorageError as error:
    say("refused", *str(error).split())
else:
    shelf["second"] = shelf["count"]
    say("open")
"""


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
    unknown = "import coshelf.engines.lmdb.files.state_page as page; page.pid_namespace = lambda: 0\n"
    holder = crew.start(unknown + HOLDER, path, within=NAMESPACE)
    holder.expect("holding")
    for end in (lambda: holder.expect("disturbed"), holder.finish):
        second = crew.start(unknown + SECOND, path, "equal pids", within=NAMESPACE)
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
    assert beside(path) == ["a.shelf", *SIDECARS]
    second = crew.start(SECOND, path, pids, within=CONTAINERS[pids])
    second.expect("open")
    second.finish()
    assert beside(path) == ["a.shelf"]


def test_a_forked_child_in_a_namespace_of_its_own_is_refused(crew: Crew, path: str) -> None:
    worker = crew.start(
        """
        import ctypes
        shelf = coshelf.open(path, timeout=0.1)
        shelf["a"] = 1
        assert ctypes.CDLL(None).unshare(0x20000000) == 0  # CLONE_NEWPID: for the children
        if os.fork() == 0:
            try:
                shelf["a"]
            except StorageError as error:
                say("refused", *str(error).split())
            os._exit(0)
        os.wait()
        shelf["a"] += 1
        assert shelf["a"] == 2
        """,
        path,
    )
    _refuse(worker)


def test_containers_that_share_a_pid_namespace_lose_no_update(crew: Crew, path: str) -> None:
    script = """
        shelf = coshelf.open(path, timeout=20)
        say("ready")
        hear()
        for turn in range(300):
            shelf.modify("count", lambda number: number + 1, default=0)
        say("counted")
        hear()
        assert shelf["count"] == 600
        """
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
        """
        from coshelf.engines.lmdb.registry import REGISTRY

        def start(work):
            ready, tell = os.pipe()
            pid = os.fork()
            if pid == 0:
                shelf = coshelf.open(path)
                work(shelf)
                os.write(tell, b"x")
                signal.pause()
            assert os.read(ready, 1)
            return pid

        kept = []
        with coshelf.open(path) as shelf:
            shelf["a"] = 0
            old = start(lambda shelf: kept.append(shelf.snapshot()))
            os.kill(old, signal.SIGKILL)
            os.waitpid(old, 0)
            with open("/proc/sys/kernel/ns_last_pid", "w") as file:
                file.write(str(old - 1))
            new = start(lambda shelf: shelf["a"])  # before anybody looked for dead readers
            assert new == old
            for turn in range(300):
                shelf["a"] = turn
            [environment] = REGISTRY._open.values()
            readers = [line.split() for line in environment.base.lmdb.readers().splitlines()[1:]]
            say({txnid for pid, _, txnid in readers if int(pid) == new})
            os.kill(new, signal.SIGKILL)
        """,
        path,
        within=NAMESPACE,
    )
    worker.expect("{'-'}")  # those of the one that lives, at rest
    worker.finish()
