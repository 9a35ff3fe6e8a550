"""The files engine among processes: no update is lost, no batch is seen in part, and a kill leaves whole values."""

from __future__ import annotations

import errno
import os
import random
import threading
import time
from pathlib import Path

import pytest
from support import Crew

import coshelf
from collecting import collect
from coshelf.engines.files import changes
from coshelf.errors import ShelfClosed, WaitTimeout

SCRIPTS = Path(__file__).parent / "scripts" / "files_engine"


@pytest.fixture
def root(path: str) -> str:
    return f"files:{path}"


def test_no_update_is_lost(crew: Crew, root: str) -> None:
    writers = crew.start_many(
        3,
        SCRIPTS / "counts.py",
        root,
    )
    for writer in writers:
        writer.finish()
    with coshelf.open(root, "r") as shelf:
        assert shelf["count"] == 180
        assert shelf["sum"] == 3 * sum(range(60))
        assert [len(done) for done in shelf.values("by/*")] == [60, 60, 60]


def test_batch_is_seen_whole_by_whoever_reads_several_entries(crew: Crew, root: str) -> None:
    with coshelf.open(root) as shelf:
        shelf.update({f"account/{n}": 10 for n in range(8)})
        writers = crew.start_many(
            2,
            SCRIPTS / "batches.py",
            root,
        )
        for _ in range(20):
            assert sum(shelf.values("account/*")) == 80
            assert sum(shelf.get_many([f"account/{n}" for n in range(8)]).values()) == 80
            with shelf.snapshot() as then:
                assert sum(then.values()) == 80
        shelf["stop"] = 0
        for writer in writers:
            writer.finish()


def test_killed_writer_leaves_whole_values_and_no_lock(crew: Crew, root: str) -> None:
    chance = random.Random(20261124)
    place = Path(root.removeprefix("files:"))
    with coshelf.open(root, timeout=60) as shelf:
        shelf.update({"small": (0, 0), "large": (0, "")})
        for _ in range(25):
            writer = crew.start(
                SCRIPTS / "killed_writer.py",
                root,
            )
            writer.expect("ready")
            time.sleep(chance.uniform(0, 0.03))
            writer.kill()
            number, again = shelf["small"]
            assert number == again
            number, text = shelf["large"]
            assert text == "x" * (300_000 if number else 0)
            shelf["after"] = 1
            staging = place.parent / ".a.shelf.coshelf-staging"
            assert [path for path in staging.rglob("*") if not path.is_dir()] == []
    assert sorted(os.listdir(place)) == [".coshelf", "after", "large", "small"]


def test_fork_inside_a_transaction_leaves_the_lock_to_the_parent(crew: Crew, root: str) -> None:
    crew.run(
        SCRIPTS / "fork_in_a_transaction.py",
        root,
    )


def test_child_that_lives_on_holds_no_lock(crew: Crew, root: str) -> None:
    crew.run(
        SCRIPTS / "child_that_lives_on.py",
        root,
    )


def test_locked_directory_is_told_after_the_timeout(crew: Crew, root: str) -> None:
    holder = crew.start(
        """
        with coshelf.open(path) as shelf, shelf.transaction() as t:
            say("inside"); hear()
        """,
        root,
    )
    holder.expect("inside")
    with coshelf.open(root, timeout=0.05) as shelf:
        with pytest.raises(coshelf.ShelfLocked, match=r"waited 0\.05 s"):
            shelf["a"] = 1
        assert "a" not in shelf  # reading does not wait
    holder.tell()
    holder.finish()


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_wait_wakes_for_directories_that_are_made_and_removed_meanwhile(crew: Crew, root: str) -> None:
    place = Path(root.removeprefix("files:"))
    waiter = crew.start(
        SCRIPTS / "waiter.py",
        root,
    )
    waiter.expect("ready")
    with coshelf.open(root) as shelf:
        for _ in range(10):
            (place / "a/b").mkdir(parents=True)
            (place / "a/b").rmdir()
            (place / "a").rmdir()
        shelf["a/b/c/other"] = 1
        shelf["a/b/c/d"] = "here"
    assert waiter.finish() == ["here"]


def test_wait_goes_on_without_notifiers(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def used_up(*arguments: object) -> None:
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(changes.Notifier, "__init__", used_up)
    with coshelf.open(root) as shelf:
        with pytest.raises(WaitTimeout):
            shelf.wait("a", timeout=0.02)
        late = threading.Timer(0.05, shelf.__setitem__, ("a", "here"))
        late.start()
        assert shelf.wait("a", timeout=300) == "here"
        late.join()


def test_notifiers_are_used_again_and_closed_with_the_shelf(root: str) -> None:
    def watched() -> int:
        links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        return sum(os.path.islink(link) and "inotify" in os.readlink(link) for link in links)

    collect()
    others = watched()  # of shelves of other tests
    with coshelf.open(root) as shelf:
        for number in range(20):
            with pytest.raises(WaitTimeout):
                shelf.wait(f"never/{number}", timeout=0)
        collect()
        assert watched() == others + 1
    assert watched() == others


def test_forked_child_waits_with_a_notifier_of_its_own(crew: Crew, root: str) -> None:
    crew.run(
        SCRIPTS / "forked_waiter.py",
        root,
    )


def test_closing_ends_a_wait_in_another_thread(root: str) -> None:
    shelf = coshelf.open(root)
    found: list[object] = []

    def wait() -> None:
        try:
            found.append(shelf.wait("never"))
        except ShelfClosed as error:
            found.append(type(error))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)
    shelf.close()
    thread.join(300)
    assert found == [ShelfClosed]
