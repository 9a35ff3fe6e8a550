"""Many shelves open at the same time in one process: descriptors, address space, and what a fork does to the locks."""

from __future__ import annotations

import os
import resource

import pytest
from support import Crew, beside

import coshelf
from coshelf.engines.lmdb.files import descriptors

COUNT = """
def descriptors():
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:  # that of the listing
            pass
    return [name for name in found if name.startswith(os.path.dirname(path))]
"""


def test_open_shelf_needs_five_descriptors_at_most(crew: Crew, path: str) -> None:
    """When it was made, while something waits in its delta, when that was flushed, and when it was opened again."""
    crew.run(
        COUNT
        + """
for again in range(3):
    shelf = coshelf.open(path, flush_interval=1000)
    assert len(descriptors()) <= 5, descriptors()
    shelf["a"] = 1
    shelf["b"] = 2
    assert len(descriptors()) <= 5, descriptors()
    shelf.sync()
    dict(shelf)
    with shelf.transaction() as t:
        t["c"] = 3
    assert len(descriptors()) <= 5, descriptors()
    if again == 2:
        shelf.compact()
        shelf["d"] = 4
        assert len(descriptors()) <= 5, descriptors()
    shelf.close()
    assert descriptors() == []
""",
        path,
    )


def test_two_hundred_shelves_are_open_at_the_usual_limit(crew: Crew, path: str) -> None:
    crew.run(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        shelves = [coshelf.open(f"{path}-{number}") for number in range(200)]
        for number, shelf in enumerate(shelves):
            shelf["number"] = number
        for number, shelf in enumerate(shelves):
            assert shelf["number"] == number
            shelf.close()
        """,
        path,
    )


_WANTED = 5_100


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < _WANTED, reason="the limit cannot be raised")
def test_a_thousand_shelves_are_open_at_once(crew: Crew, path: str) -> None:
    """At 256 GB of address space for each there would be none left after 512."""
    crew.run(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        import shutil
        coshelf.open(path).close()
        for number in range(1000):
            shutil.copy(path, f"{path}-{number}")  # which is quicker than making them
        shelves = [coshelf.open(f"{path}-{number}") for number in range(1000)]
        for number in (0, 500, 533, 534, 999):
            shelves[number]["number"] = number
        assert [shelves[number]["number"] for number in (0, 534, 999)] == [0, 534, 999]
        for shelf in shelves:
            shelf.close()
        """,
        path,
        _WANTED,
    )


def test_child_that_stays_keeps_no_lock_of_a_parent_that_was_killed(crew: Crew, path: str) -> None:
    """Not those on the file and on the lock files either: who comes next is alone, and leaves nothing behind."""
    mother = crew.start(
        """
        shelf = coshelf.open(path, flush_interval=1000)
        shelf["a"] = 1
        snapshot = shelf.snapshot()
        if os.fork() == 0:
            say("forked")
            hear()
            os._exit(0)
        time.sleep(100)
        """,
        path,
    )
    mother.expect("forked")
    mother.kill()
    with coshelf.open(path, timeout=5) as shelf:
        assert dict(shelf) == {"a": 1}
        shelf["b"] = 2
        shelf.compact()  # only who is alone can do that
    assert beside(path) == [os.path.basename(path)]
    mother.tell()


def test_child_has_no_copies_of_its_parents_descriptors_and_maps(crew: Crew, path: str) -> None:
    crew.run(
        COUNT
        + """
def maps():
    with open("/proc/self/maps") as lines:
        return [line for line in lines if os.path.dirname(path) in line]
shelf = coshelf.open(path)
shelf["a"] = 1
iterator = iter(shelf.items())
next(iterator)
assert descriptors() and maps()
pid = os.fork()
if pid == 0:
    assert descriptors() == [] and maps() == [], (descriptors(), maps())
    shelf["b"] = 2
    assert dict(shelf) == {"a": 1, "b": 2}
    del iterator
    assert len(descriptors()) <= 5
    shelf.close()
    sys.exit()
assert reap(pid) == 0
assert dict(shelf) == {"a": 1, "b": 2}
""",
        path,
    )


def test_programs_that_are_started_inherit_no_descriptor(crew: Crew, path: str) -> None:
    """LMDB leaves that of the data to them, and the lock on the file would go with it."""
    crew.run(
        """
        import subprocess
        with coshelf.open(path) as shelf:
            shelf["a"] = 1
            program = "import os; print(*[os.path.realpath('/proc/self/fd/' + n) for n in os.listdir('/proc/self/fd')])"
            seen = subprocess.run([sys.executable, "-c", program], close_fds=False, capture_output=True, text=True)
            assert seen.returncode == 0 and os.path.dirname(path) not in seen.stdout, seen
        """,
        path,
    )


def test_where_lmdbs_descriptors_are_not_found_it_works_with_others(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "_are_usable", lambda: False)
    for turn in range(3):
        with coshelf.open(path) as shelf:
            shelf["turn"] = turn
            with shelf.transaction() as t:
                t["again"] = turn
            shelf.sync()
            shelf.compact()
            assert dict(shelf) == {"turn": turn, "again": turn}
        assert beside(path) == [os.path.basename(path)]
