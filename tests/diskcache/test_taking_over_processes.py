"""Taking over beside other processes, and when the process is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import diskcache as original
import pytest
from support import Crew, Worker

import coshelf
from coshelf import diskcache
from coshelf.errors import NotAShelf, ShelfExists, ShelfLocked, ShelfNotFound, StorageFull
from starting import environment

OPEN = """
    from coshelf import diskcache
    say("ready")
    hear()
    with diskcache.Cache(path) as cache:
        say(sum(len(str(cache[key])) for key in cache))
        say(len(cache))
"""


@pytest.fixture
def directory(path: str) -> Path:
    """A directory of diskcache with 30 entries, of which 10 have files."""
    directory = Path(path).parent / "cache"
    with original.Cache(directory, eviction_policy="none", tag_index=1) as old:
        for number in range(30):
            old.set((number, "key"), bytes([number]) * (40_000 if number % 3 == 0 else 10), tag="t", expire=10.0**7)
    return directory


def files_of(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and "cache.shelf" not in str(path) and "from-diskcache" not in path.parts
    }


def refuse_losses(directory: Path, before: dict[str, bytes]) -> None:
    """Everything is in the cache, and diskcache's files are what they were."""
    with diskcache.Cache(directory) as new:
        assert list(new) == [(number, "key") for number in range(30)]
        assert all(new[key] == bytes([key[0]]) * (40_000 if key[0] % 3 == 0 else 10) for key in new)
        assert new.check() == []
        assert new.evict("t") == 30
    assert files_of(directory).items() >= before.items()


POINTS = [
    "begun",
    "row@20",
    "made",
    "named",
    *[pytest.param(each, marks=pytest.mark.long) for each in ("row", "row@30")],
]


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_step_the_next_opening_finds_everything(
    point: str, directory: Path, armed: Callable[..., Worker]
) -> None:
    before = files_of(directory)
    name, _, turn = point.partition("@")
    worker = armed(f"taken-over-{name}=kill@{turn or 1}", OPEN, directory)
    worker.expect("ready")
    worker.tell()
    worker.finish(-signal.SIGKILL)
    assert (directory / "cache.shelf").exists() == (point == "named")
    refuse_losses(directory, before)
    assert {name for name in os.listdir(directory) if "shelf" in name} <= {"cache.shelf"}


@pytest.mark.parametrize(
    "numbers", [(14,), pytest.param(range(1, 100, 2), marks=pytest.mark.long)], ids=["some", "all"]
)
def test_killed_at_any_call_of_the_system_the_next_opening_finds_everything(
    numbers: Iterable[int], directory: Path, crew: Crew
) -> None:
    before = files_of(directory)
    program = """
        from coshelf import diskcache
        names = {"os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"}
        left = int(sys.argv[2])

        def count(event, arguments):
            global left
            if event in names:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        diskcache.Cache(path).close()
    """
    for number in numbers:
        status = crew.start(program, directory, number).process.wait()
        assert status in (0, -signal.SIGKILL)
        if status == 0:
            break
    else:
        assert numbers == (14,)
    refuse_losses(directory, before)


def test_of_many_processes_that_open_at_once_one_takes_over(directory: Path, crew: Crew) -> None:
    wanted = sum(len(str(bytes([number]) * (40_000 if number % 3 == 0 else 10))) for number in range(30))
    workers = crew.start_many(3, OPEN, directory)
    for worker in workers:
        assert worker.finish() == [str(wanted), "30"]
    links = {path.stat().st_nlink for path in (directory / "from-diskcache").rglob("*.val")}
    assert links == {2}


def test_a_process_waits_for_another_and_goes_on_when_that_is_killed(
    directory: Path, crew: Crew, armed: Callable[..., Worker]
) -> None:
    before = files_of(directory)
    first = armed(f"taken-over-row=pause:{directory.parent / 'paused'}@15", OPEN, directory)
    first.expect("ready")
    first.tell()
    while not (directory.parent / "paused").exists():
        assert first.process.poll() is None
    second = crew.start(OPEN, directory)
    second.expect("ready")
    second.tell()
    assert not (directory / "cache.shelf").exists()
    first.kill()
    assert second.finish()[1] == "30"
    refuse_losses(directory, before)


@pytest.mark.parametrize("point", ["row@15", "made"])
def test_a_full_disk_is_an_error_and_nothing_is_left(point: str, directory: Path, armed: Callable[..., Worker]) -> None:
    before, listed = files_of(directory), sorted(os.listdir(directory))
    name, _, turn = point.partition("@")
    program = """
        from coshelf import diskcache
        try:
            diskcache.Cache(path)
        except StorageFull as error:
            say(error)
    """
    said = armed(f"taken-over-{name}=error:28@{turn or 1}", program, directory).finish()
    assert said == [f"cannot take over the directory of diskcache {directory}: no space left on the device"]
    assert sorted(os.listdir(directory)) == listed
    refuse_losses(directory, before)


def test_a_disk_that_is_full_at_the_last_batch_is_an_error_and_nothing_is_left(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    before, listed = files_of(directory), sorted(os.listdir(directory))
    monkeypatch.setattr("coshelf.dropin.diskcache.new_rows.NewRows.finish", full)
    with pytest.raises(StorageFull, match=r"cannot take over the directory .*: no space left on the device"):
        diskcache.Cache(directory)
    monkeypatch.undo()
    assert sorted(os.listdir(directory)) == listed
    refuse_losses(directory, before)


def test_a_folder_of_the_user_is_not_removed(directory: Path) -> None:
    (directory / "from-diskcache").mkdir()
    (directory / "from-diskcache" / "mine.txt").write_text("text")
    with pytest.raises(NotAShelf, match=r"is in the way: it has mine\.txt"):
        diskcache.Cache(directory)
    assert (directory / "from-diskcache" / "mine.txt").read_text() == "text"
    assert not (directory / "cache.shelf").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can do something for other users")
def test_root_leaves_what_it_makes_to_the_owner(directory: Path) -> None:
    for path in (directory, *directory.rglob("*")):
        os.chown(path, 12345, 12345)
    diskcache.take_over(directory)
    assert {path.lstat().st_uid for path in directory.rglob("*")} == {12345}


# --- beside diskcache ------------------------------------------------------------------------------------------------

BESIDE = """
    import diskcache
    old = diskcache.Cache(path)
    say("ready")
    while (word := hear()) != "end":
        exec(word)
        say("done")
    old.close()
"""


def test_a_process_that_still_uses_diskcache_there_is_told_of(directory: Path, crew: Crew) -> None:
    worker = crew.start(BESIDE, directory)
    worker.expect("ready")
    worker.tell("old.set('newest', 1)")
    worker.expect("done")
    if Path("/proc/locks").exists():
        with pytest.warns(UserWarning, match=rf"still in use by diskcache in process {worker.pid}: what is stored"):
            new = diskcache.Cache(directory)
        with pytest.raises(ShelfLocked, match=f"in process {worker.pid}; nothing was removed"):
            diskcache.remove_old_files(directory)
    else:
        new = diskcache.Cache(directory)
    with new:
        assert (len(new), new["newest"]) == (31, 1)
    worker.tell("old.set('later', 1)")
    worker.expect("done")
    worker.tell("end")
    worker.finish()
    with diskcache.Cache(directory) as again:
        assert "later" not in again


def test_what_a_killed_process_has_not_moved_into_the_database_is_taken_over(directory: Path, crew: Crew) -> None:
    worker = crew.start(BESIDE, directory)
    worker.expect("ready")
    worker.tell("old.set('in the log', 'x')")
    worker.expect("done")
    worker.kill()
    assert os.path.getsize(directory / "cache.db-wal") > 0
    (directory / "cache.db-shm").unlink()
    next(directory.glob("*/*/*.val")).unlink()
    before = files_of(directory)
    with pytest.warns(UserWarning, match="without 1 of 31 entries"):
        new = diskcache.Cache(directory)
    with new:
        assert new["in the log"] == "x"
        assert len(new) == 30
    assert files_of(directory) == before


def test_transactions_of_diskcache_are_taken_over_whole(directory: Path, crew: Crew) -> None:
    worker = crew.start(
        """
        import diskcache
        old = diskcache.Cache(path)
        say("ready")
        number = 0
        while not os.path.exists(path + "/cache.shelf"):
            with old.transact():
                number += 1
                old["left"], old["right"], old["file"] = number, number, b"%d" % number * 20_000
            if number == 1:
                say("begun")
        old.close()
        """,
        directory,
    )
    worker.expect("ready")
    worker.expect("begun")
    report = diskcache.take_over(directory)
    assert report.failed == []
    worker.finish()
    with diskcache.Cache(directory) as new:
        assert new["left"] == new["right"]
        assert new["file"]
        assert new.check() == []


def test_a_value_that_diskcache_replaces_meanwhile_is_taken_over_as_it_is_then(
    directory: Path, crew: Crew, armed: Callable[..., Worker]
) -> None:
    taking = armed(f"taken-over-begun=pause:{directory.parent / 'paused'}", OPEN, directory)
    taking.expect("ready")
    taking.tell()
    while not (directory.parent / "paused").exists():
        assert taking.process.poll() is None
    with original.Cache(directory) as old:
        old[(0, "key")] = b"newer" * 10_000
        old[(3, "key")] = "short"
        del old[(6, "key")]
        old["another"] = 1
    (directory.parent / "paused").unlink()
    assert taking.finish()[1] == "29"
    with diskcache.Cache(directory) as new:
        assert (new[(0, "key")], new[(3, "key")], new.get((6, "key"))) == (b"newer" * 10_000, "short", None)
        assert "another" not in new
        assert new.check() == []


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_import_makes_a_cache_in_another_place_or_in_the_same(directory: Path) -> None:
    before = files_of(directory)
    target = directory.parent / "new" / "place"
    report = coshelf.transfer.import_entries(directory, target / "cache.shelf", dry_run=True)
    assert (report.done, target.exists()) == (30, False)
    told: list[tuple[int, int | None]] = []
    report = coshelf.transfer.import_entries(
        directory, target / "cache.shelf", progress=lambda done, of: told.append((done, of))
    )
    assert (report.kind, report.done, report.failed, told[-1]) == ("diskcache", 30, [], (30, 30))
    assert not (directory / "cache.shelf").exists()
    refuse_losses(target, {})
    with pytest.raises(ShelfExists, match="has been taken over already"):
        coshelf.transfer.import_entries(directory, target / "cache.shelf")
    with pytest.raises(ValueError, match="trust_pickle, replace cannot be given"):
        coshelf.transfer.import_entries(directory, directory / "cache.shelf", replace=True, trust_pickle=True)
    assert diskcache.take_over(directory).done == 30
    refuse_losses(directory, before)
    with pytest.raises(ShelfNotFound, match=r"there is no cache\.db of diskcache"):
        diskcache.take_over(directory.parent)


def test_the_command_imports_into_a_cache(directory: Path) -> None:
    pytest.importorskip("click")
    command = [sys.executable, "-m", "coshelf", "import", "--json", directory, directory / "cache.shelf"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, env=environment()).stdout)
    assert (report["done"], report["failed"]) == (30, [])
    refuse_losses(directory, {})
