"""What writers leave that die in the middle: what they were told is committed is there, all else goes."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from arrays import blobs, is_whole, signed
from insides import commits_to_base, flush_all, until
from support import Crew, Worker, beside

import coshelf
from starting import environment

SCRIPTS = Path(__file__).parent / "scripts" / "orphans"

SOURCE = Path(coshelf.__file__).parent / "engines/lmdb"
POINTS = sorted(
    name
    for name in {name for file in SOURCE.rglob("*.py") for name in re.findall(r'reach\("([^"]+)"\)', file.read_text())}
    if not name.startswith(("backup-", "compact-"))
)

WRITER = SCRIPTS / "killed_writer_of_arrays.py"


def _check(path: str, done: set[str]) -> None:
    """Everything acknowledged is there, whole, and nothing else is."""
    with coshelf.open(path) as shelf:
        found = dict(shelf.items())
        assert done - {"d"} <= found.keys(), f"{done} were acknowledged, and there are {found.keys()}"
        named = [name for name in found if not name.startswith("pad")]
        for name in named:
            for array in found[name] if name == "c" else [found[name]]:
                assert is_whole(array)
        shelf.sync()
        until(lambda: len(blobs(path)) == len(named))
        report = shelf.check()
        assert report.ok, report
        shelf.clear()


@pytest.mark.parametrize(("opened", "options"), [(False, "{}"), (True, "{'durability': 'commit'}")])
def test_a_writer_killed_at_any_failpoint_loses_nothing_and_leaves_nothing(
    path: str, armed: Callable[..., Worker], opened: bool, options: str
) -> None:
    reached = set()
    for point in POINTS:
        turn = 2 if point in ("blob-written", "blob-begun", "commit-applied") else 1
        other = coshelf.open(path, flush_interval=1000) if opened else None  # which has the delta as well
        victim = armed(f"{point}=kill@{turn}", WRITER, path, options)
        said = victim.process.communicate()[0].splitlines()
        if victim.process.returncode == 0:
            coshelf.open(path, "n").close()
            continue
        assert victim.process.returncode == -signal.SIGKILL, victim.errors()
        reached.add(point)
        _check(path, {name for line in said if line.startswith("done") for name in line.split()[1:]})
        if other is not None:
            other.close()
        assert beside(path) == ["a.shelf"]
    assert reached >= {
        "blob-begun",
        "blob-written",
        "blobs-synced",
        "commit-applied",
        "flush-announced",
        "direct-announced",
    }


# As in tests/delta: a commit is visible behind its last write. Killed there, it is durable and nobody sees it.
BETWEEN = SCRIPTS / "between.py"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is needed to kill inside LMDB")
def test_the_blob_of_a_commit_that_is_durable_but_not_visible_is_no_orphan(path: str) -> None:
    with coshelf.open(path, flush_interval=1000, timeout=60) as shelf:
        shelf.update(there=0, first=signed(1))
        flush_all(shelf)
        before = commits_to_base(path)
        tracer = subprocess.Popen(
            [
                *("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64,pwritev2", "-P", path),
                *("-e", "inject=pwrite64,pwritev2:delay_exit=60000000"),  # microseconds: more than it takes to kill it
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
        assert "a" not in shelf, "it was killed too late"
        coshelf.open(path).close()  # which sweeps
        shelf["there"] = 1
        shelf.sync()
        assert is_whole(shelf["a"])
        until(lambda: len(blobs(path)) == 2)


def test_who_opens_it_sweeps_and_leaves_the_living_alone(crew: Crew, path: str) -> None:
    script = SCRIPTS / "writes_in_a_transaction.py"
    living = crew.start(script, path)
    living.expect("written")
    until(lambda: len(blobs(path)) == 1)
    with coshelf.open(path) as shelf:
        assert len(blobs(path)) == 1, "its writer lives"
        living.tell()
        living.expect("committed")
        assert is_whole(shelf["a"])
        dead = crew.start(script, path)
        dead.expect("written")
        dead.kill()
        until(lambda: len(blobs(path)) == 2)
        coshelf.open(path).close()
        until(lambda: len(blobs(path)) == 1)
        assert is_whole(shelf["a"])
    living.finish()


def test_what_another_shelfs_writer_left_is_left_alone(crew: Crew, path: str) -> None:
    """A folder may be that of a shelf whose place another one took."""
    victim = crew.start(
        SCRIPTS / "writes_in_a_transaction.py",
        path,
    )
    victim.expect("written")
    victim.kill()
    os.rename(path, path + ".old")
    for name in beside(path):
        if name.startswith(".a.shelf.coshelf/"):
            os.unlink(os.path.join(os.path.dirname(path), name))
    with coshelf.open(path) as shelf:
        shelf["b"] = 1
    until(lambda: len(blobs(path)) == 1)


STORM = SCRIPTS / "storm_of_arrays.py"


def _storm(crew: Crew, path: str, seed: int, deaths: int) -> None:
    chance = random.Random(seed)
    workers = [crew.start(STORM, path, seed * 1000 + number) for number in range(2)]
    with coshelf.open(path, "c", flush_interval=1000) as shelf:
        for number in range(deaths):
            place = chance.randrange(len(workers))
            for _ in range(chance.randrange(1, 20)):
                workers[place].hear()
            workers[place].kill()
            workers[place] = crew.start(STORM, path, seed * 1000 + 2 + number)
            assert all(map(is_whole, shelf.values()))
        for worker in workers:
            worker.kill()
    _whole_and_alone(path)


def _whole_and_alone(path: str) -> None:
    with coshelf.open(path) as shelf:
        for array in shelf.values():
            assert is_whole(array)
        shelf["end"] = 1
        shelf.sync()
        until(lambda: len(blobs(path)) == len(shelf) - 1)
        assert shelf.check().ok
        shelf.clear()
    assert beside(path) == ["a.shelf"]


@pytest.mark.parametrize("found", [b"", bytes(16)])
def test_what_a_power_cut_left_of_a_writer_s_file_goes(found: bytes, path: str) -> None:
    """The file has its name, but what was written into it did not reach the disk."""
    writers = Path(path + ".coshelf-blobs", "writers")
    writers.mkdir(parents=True)
    writers.joinpath("00" * 8).write_bytes(found)
    coshelf.open(path).close()
    assert beside(path) == ["a.shelf"]


def test_the_writer_s_file_of_another_shelf_stays(path: str) -> None:
    writers = Path(path + ".coshelf-blobs", "writers")
    writers.mkdir(parents=True)
    writers.joinpath("00" * 8).write_bytes(b"another shelf's!")
    coshelf.open(path).close()
    assert os.listdir(writers) == ["00" * 8]


def test_a_storm_of_killed_writers_tears_nothing_and_leaves_nothing(crew: Crew, path: str) -> None:
    _storm(crew, path, 1, 6)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 5))
def test_a_long_storm_of_killed_writers_tears_nothing_and_leaves_nothing(crew: Crew, path: str, seed: int) -> None:
    _storm(crew, path, seed, 60)
