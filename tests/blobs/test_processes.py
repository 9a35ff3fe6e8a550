"""Processes share what is in memory: a buffer is there once, however many map it."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

from arrays import LARGE, blobs, is_whole, signed
from insides import until
from support import Crew

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "processes"

READER = SCRIPTS / "reader_of_arrays.py"

SIZE = 32 * LARGE


def _figures(pid: int, part: str) -> dict[str, int]:
    """The kilobytes that /proc says of the maps of files whose path has this part."""
    found: dict[str, int] = {}
    counts = False
    with open(f"/proc/{pid}/smaps") as file:
        for line in file:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                counts = part in line
            elif counts and line.endswith(" kB\n"):
                name, number, _ = line.split()
                found[name] = found.get(name, 0) + int(number)
    return found


def test_memory_has_one_copy_for_all_processes(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = signed(1, SIZE)
    readers = [crew.start(READER, path) for _ in range(4)]
    for reader in readers:
        reader.expect("mapped")
    figures = [_figures(reader.pid, path + ".coshelf-blobs/") for reader in readers]
    assert all(found["Rss:"] >= SIZE // 1024 for found in figures), figures
    assert all(found["Private_Dirty:"] == found["Anonymous:"] == 0 for found in figures), figures
    # The proportional set size counts a page that n processes map as an n-th for each.
    shared = sum(found["Pss:"] for found in figures)
    assert shared <= 1.1 * SIZE / 1024, f"{shared} kB for {SIZE // 1024} kB that all of them have mapped"
    for reader in readers:
        reader.tell()
        assert reader.finish() == ["True"]


def test_a_view_stays_good_while_another_process_overwrites_deletes_and_closes(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = signed(1)
        shelf.sync()
        readers = [crew.start(READER, path) for _ in range(2)]
        for reader in readers:
            reader.expect("mapped")
        for number in range(2, 6):
            shelf["a"] = signed(number)
            shelf.sync()
        del shelf["a"]
        shelf.sync()
        until(lambda: blobs(path) == [])
        for reader in readers:
            reader.tell()
            assert reader.finish() == ["True"]


def test_processes_that_write_at_once_lose_nothing_and_tear_nothing(crew: Crew, path: str) -> None:
    workers = crew.start_many(
        3,
        SCRIPTS / "writers_of_arrays.py",
        path,
    )
    for worker in workers:
        worker.finish()
    with coshelf.open(path) as shelf:
        assert shelf["count"] == 24
        for key, value in shelf.items():
            if key != "count":
                assert is_whole(value[0] if key == "last" else value)
        until(lambda: len(blobs(path)) == len(shelf) - 1)
        assert shelf.check().ok


def test_a_shelf_without_a_delta_has_blobs_as_well(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "without_a_delta.py",
        path,
    )
    with coshelf.open(path) as shelf:
        assert is_whole(shelf["b"]) and list(shelf) == ["b", "c"] and shelf.check().ok


def test_a_pickled_shelf_has_the_blobs_in_another_process(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = signed(1)
        crew.run(
            SCRIPTS / "pickled_shelf.py",
            path,
            pickle.dumps(shelf).hex(),
        )
        assert is_whole(shelf["b"])


def test_a_copy_made_while_others_write_has_the_blobs_of_one_instant(crew: Crew, path: str) -> None:
    writer = crew.start(
        SCRIPTS / "writer_of_pairs.py",
        path,
    )
    with coshelf.open(path) as shelf:
        for turn in range(4):
            writer.hear()
            shelf.backup(f"{path}.{turn}")
            with coshelf.open(f"{path}.{turn}", "r") as copy:
                assert is_whole(copy["a"]) and (copy["a"] == copy["b"]).all()
                assert copy.check().ok
            assert len(blobs(f"{path}.{turn}")) == 2
        writer.kill()
