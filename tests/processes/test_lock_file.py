"""The lock file's traps: somebody in the process opens and closes it, and locks that vanish with it do no harm."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import pytest
from support import Crew, beside, sidecars

import coshelf
from coshelf.engines.lmdb.files.sidecar_directory import base_path, sidecar_directory
from coshelf.engines.lmdb.files.sidecar_files import lock_path
from coshelf.engines.lmdb.locks import lock_guard
from coshelf.engines.lmdb.locks.lock_guard import LockGuard
from coshelf.engines.lmdb.registry import REGISTRY
from coshelf.system.locks import ranges

SCRIPTS = Path(__file__).parent / "scripts" / "lock_file"


OVERWRITES = SCRIPTS / "overwrites.py"

WAYS = pytest.mark.parametrize("way", ["copy", "close"])
supported = pytest.mark.skipif(not ranges.have_open_file_locks, reason="no OFD locks here")


@pytest.fixture
def path(path: str) -> str:
    """In a folder of its own, whose copies do not hold copies."""
    folder = os.path.join(os.path.dirname(path), "folder")
    os.mkdir(folder)
    return os.path.join(folder, "a.shelf")


DISTURBED_COUNTER = SCRIPTS / "disturbed_counter.py"


@supported
@WAYS
def test_two_processes_count_right_while_one_disturbs_the_lock_file(crew: Crew, path: str, way: str) -> None:
    first = crew.start(DISTURBED_COUNTER, path, way)
    first.expect("disturbed")
    second = crew.start(
        SCRIPTS / "second_counter.py",
        path,
    )
    second.expect("open")
    for worker in (first, second):
        worker.tell()
    for worker in (first, second):
        worker.expect("counted")
    for worker in (first, second):
        worker.tell()
    for worker in (first, second):
        worker.finish()
    assert beside(path) == ["a.shelf"]
    with coshelf.open(path) as shelf:
        assert shelf["both"] == 300


HOLDS = SCRIPTS / "holds.py"


@supported
@WAYS
def test_what_is_held_stays_right_while_others_look_for_dead_readers(crew: Crew, path: str, way: str) -> None:
    holder = crew.start(HOLDS, path, way)
    holder.expect("holding")
    # It looks for dead readers when it opens, and every 128 commits.
    crew.run(OVERWRITES, path, 60)
    holder.tell()
    holder.expect("right")
    holder.tell()
    holder.finish()
    assert beside(path) == ["a.shelf"]


@supported
@WAYS
def test_a_killed_process_that_was_disturbed_leaves_no_lock(crew: Crew, path: str, way: str) -> None:
    holder = crew.start(HOLDS, path, way)
    holder.expect("holding")
    with coshelf.open(path, timeout=60) as shelf:
        holder.kill()
        assert _environment().reader_check() > 0
        shelf["after"] = 1
    assert beside(path) == ["a.shelf"]


FORKS = SCRIPTS / "locks_of_a_fork.py"


@supported
@WAYS
@pytest.mark.parametrize("child", ["ends", "uses", "sleeps"])
def test_a_forked_child_does_not_release_the_locks_of_its_parent(crew: Crew, path: str, way: str, child: str) -> None:
    parent = crew.start(FORKS, path, way, child)
    pid = int(parent.hear())
    try:
        crew.run(OVERWRITES, path, 60)
        parent.tell()
        parent.expect("1" if child == "uses" else "0")
    finally:
        if child != "ends":
            os.kill(pid, 9)
    parent.tell()
    parent.finish()


@supported
@WAYS
def test_a_sleeping_child_does_not_keep_the_shelf_of_its_killed_parent_alive(crew: Crew, path: str, way: str) -> None:
    parent = crew.start(FORKS, path, way, "sleeps")
    child = int(parent.hear())
    try:
        parent.kill()
        with coshelf.open(path, timeout=60) as shelf:
            # It was alone, and so made the table of readers anew.
            readers = [line.split()[0] for line in _environment().readers().splitlines()[1:]]
            assert str(parent.pid) not in readers
            shelf["a"] = 2
        assert beside(path) == ["a.shelf"]
        os.kill(child, 0)  # all the while it lived
    finally:
        os.kill(child, 9)


@supported
def test_a_child_that_uses_the_shelf_holds_locks_of_its_own(crew: Crew, path: str) -> None:
    parent = crew.start(FORKS, path, "close", "uses")
    child = int(parent.hear())
    try:
        parent.kill()
        said = crew.run("with coshelf.open(path, timeout=60) as shelf: say(shelf['a'])", path)
        assert said == ["1"]
        assert beside(path) == ["a.shelf", *sidecars(path)]
    finally:
        os.kill(child, 9)


@supported
def test_closed_and_opened_again_beside_others_it_is_guarded_again(crew: Crew, path: str) -> None:
    other = crew.start(SCRIPTS / "opens_and_closes.py", path)
    other.expect("open")
    for turn in range(3):
        with coshelf.open(path) as shelf:
            shelf["turn"] = turn
            assert _locks(path) == 8  # two processes, two bytes, LMDB's and ours
            _close_lock(path)
            assert _locks(path) == 6
        assert _locks(path) == 4
    assert _descriptors(path) == []
    other.tell()
    other.finish()


@supported
def test_a_child_that_python_does_not_know_of_keeps_no_lock_after_the_close(crew: Crew, path: str) -> None:
    """Such as one that a C library forks: it has copies of all descriptors."""
    parent = crew.start(
        SCRIPTS / "forks_in_c.py",
        path,
    )
    parent.expect("open")
    with coshelf.open(path, timeout=60) as shelf:
        parent.tell()
        parent.expect("closed")
        assert shelf["parent"] == 1
        assert _locks(path) == 4  # two bytes of this process, LMDB's and ours
    assert beside(path) == ["a.shelf"]
    parent.tell()
    parent.finish()


def test_without_such_locks_a_second_process_is_refused_and_nothing_is_lost(crew: Crew, path: str) -> None:
    """The trap itself: so it was before the guard, and so it is where the kernel has no OFD locks."""
    holder = crew.start(HOLDS, path, "close", "without such locks")
    holder.expect("holding")
    with pytest.raises(coshelf.OpenUnderAnotherName, match="another name"):
        coshelf.open(path, timeout=0.1)
    holder.kill()
    with coshelf.open(path) as shelf:
        assert len(shelf) == 100


# --- the guard by itself, on a bare LMDB environment -----------------------------------------------------------------

BARE = SCRIPTS / "bare_environment.py"


def _environment() -> Any:
    """LMDB's environment of a shelf that is open in this process."""
    [environment] = REGISTRY._open.values()
    return environment.base.lmdb


def _bare(path: str) -> lmdb.Environment:
    return lmdb.open(path, subdir=False, map_size=1 << 26)


def _lock(path: str) -> str:
    """The lock file of a shelf, or of a bare environment."""
    return lock_path(base_path(path)) if os.path.exists(sidecar_directory(path)) else lock_path(path)


def _close_lock(path: str) -> None:
    open(_lock(path), "rb").close()


def _copy(path: str) -> None:
    shutil.copytree(os.path.dirname(path), os.path.dirname(path) + "-copy", dirs_exist_ok=True)


@supported
@pytest.mark.parametrize("disturb", [_close_lock, _copy])
@pytest.mark.parametrize("name", ["a.shelf", "b.shelf"])
def test_guarded_environment_keeps_its_readers(
    crew: Crew, path: str, name: str, disturb: Callable[[str], None]
) -> None:
    path = os.path.join(os.path.dirname(path), name)
    environment, guard = _bare(path), LockGuard(path + "-lock")
    guard.hold(environment)
    held = environment.begin()
    disturb(path)
    other = crew.start(BARE, path)
    other.expect("open")
    disturb(path)
    other.tell()
    other.expect("0 2")  # nobody dead; a header and our reader
    other.finish()
    assert held.get(b"second") is None
    with environment.begin() as transaction:
        assert transaction.get(b"second") is not None
    held.abort()
    environment.close()
    guard.close()


@pytest.mark.parametrize("disturb", [_close_lock, _copy])
def test_unguarded_environment_loses_its_readers(crew: Crew, path: str, disturb: Callable[[str], None]) -> None:
    """If this fails LMDB has changed, and the guard may no longer be needed."""
    environment = _bare(path)
    held = environment.begin()
    disturb(path)
    other = crew.start(BARE, path)
    other.expect("open")
    other.tell()
    other.expect("0 1")  # the table was made anew
    other.finish()
    held.abort()
    environment.close()


@supported
def test_guard_lets_go_when_closed_and_can_hold_again(crew: Crew, path: str) -> None:
    for _ in range(3):
        environment, guard = _bare(path), LockGuard(path + "-lock")
        guard.hold(environment)
        assert _locks(path) == 4
        environment.close()
        guard.close()
        guard.close()
        assert _locks(path) == 0


@supported
def test_guard_that_cannot_open_the_lock_file_says_so(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = _bare(path)
    with pytest.raises(coshelf.StorageError, match="cannot lock the lock file"):
        LockGuard(path + "-gone").hold(environment)
    environment.close()


@supported
def test_guard_follows_no_link_to_another_file(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = _bare(path)
    monkeypatch.setattr(lock_guard, "lock_descriptor", lambda path: None)  # as where LMDB's own cannot be found
    Path(path + "-other").touch()
    Path(path + "-link").symlink_to(path + "-other")
    with pytest.raises(coshelf.StorageError, match="cannot lock the lock file"):
        LockGuard(path + "-link").hold(environment)
    environment.close()


def _descriptors(path: str) -> list[str]:
    """The files in the shelf's folder that this process has open."""
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    targets = [os.readlink(link) for link in links if os.path.islink(link)]
    return [target for target in targets if target.startswith(os.path.dirname(path))]


def _locks(path: str) -> int:
    """How many locks the kernel has on the lock file.

    The table is not read in one instant: while others take and drop locks, a line may come twice or not at all.
    """
    file = os.stat(_lock(path))
    name = f" {os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino} "
    found = [-1]
    while found[-3:] != [found[-1]] * 3:
        found.append(Path("/proc/locks").read_text().count(name))
    return found[-1]
