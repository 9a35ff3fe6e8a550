"""Handles in odd states: read late, left elsewhere, opened within, dropped, many at once."""

from __future__ import annotations

import mmap
import os
import shutil
import threading
from pathlib import Path

import pytest

import coshelf


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.shelf")


def in_child(work: object) -> int:
    """Run a function in a forked child and return its exit status: 0 if it returned."""
    child = os.fork()
    if child == 0:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_late_read_on_a_closed_handle_does_not_disturb_the_next(path: str) -> None:
    first = coshelf.open(path)
    first.update(a=1, b=2, c=3)
    reading = iter(first)
    next(reading)
    first.close()
    with coshelf.open(path) as second:
        with pytest.raises(coshelf.ShelfClosed):
            list(reading)
        with coshelf.open(path, timeout=60) as third:  # the same environment, so at once
            third["d"] = 4
        assert in_child(lambda: second.__setitem__("e", 5)) == 0
        assert list(second) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("target", ["lmdb", "memory"])
def test_a_transaction_left_by_another_thread_frees_the_lock(target: str, path: str) -> None:
    with coshelf.open(path if target == "lmdb" else "memory:", timeout=60) as shelf:
        block = shelf.transaction()
        block.__enter__()["a"] = 1
        leaver = threading.Thread(target=block.__exit__, args=(None, None, None))
        leaver.start()
        leaver.join()
        shelf["b"] = 2
        with shelf.transaction() as transaction:
            transaction["c"] = 3
        assert shelf == {"a": 1, "b": 2, "c": 3}


def test_one_very_long_key_does_not_keep_the_others_from_being_read(path: str) -> None:
    long = "x" * 600_000
    with coshelf.open(path) as shelf:
        shelf.update({"a": 1, long: 2, long + "y": 3, "z": 4})
        assert list(shelf) == ["a", long, long + "y", "z"]
        assert list(reversed(shelf)) == ["z", long + "y", long, "a"]
        assert list(shelf.values(start=long + "a")) == [3, 4]
        del shelf[long]
        assert shelf.popitem() == ("z", 4)
        assert shelf.popitem() == (long + "y", 3)
        assert dict(shelf) == {"a": 1}
        assert len(shelf) == 1


def test_emptying_within_ones_own_transaction_is_refused(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
        with shelf.transaction() as transaction:
            with pytest.raises(coshelf.TransactionInProgress):
                coshelf.open(path, "n")
            assert transaction["a"] == 1
        assert dict(shelf) == {"a": 1}


def test_more_than_a_hundred_shelves_can_be_open_at_once(tmp_path: Path) -> None:
    shelves = [coshelf.open(tmp_path / f"{number}.shelf") for number in range(120)]
    try:
        for number, shelf in enumerate(shelves):
            shelf["number"] = number
        assert [shelf["number"] for shelf in shelves] == list(range(120))
        mmap.mmap(-1, 1 << 30).close()  # address space is left for others
    finally:
        for shelf in shelves:
            shelf.close()


def test_a_child_closes_its_handle_though_the_file_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    shelf = coshelf.open(folder / "a.shelf")
    shelf["a"] = 1
    gone, ready = os.pipe()

    def close_when_gone() -> None:
        os.read(gone, 1)
        shelf.close()

    child = os.fork()
    if child == 0:
        try:
            close_when_gone()
        except BaseException:
            os._exit(1)
        os._exit(0)
    shelf.close()
    shutil.rmtree(folder)
    os.write(ready, b".")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_opening_one_shelf_does_not_wait_for_the_opening_of_another(tmp_path: Path, path: str) -> None:
    """Somebody keeps the first from being opened; the second, and a fork, are not held up by that."""
    import fcntl

    coshelf.open(path).close()
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ended = threading.Event()

        def open_first() -> None:
            coshelf.open(path, timeout=60).close()
            ended.set()

        opener = threading.Thread(target=open_first)
        opener.start()
        with coshelf.open(tmp_path / "other.shelf", timeout=60) as other:
            other["a"] = 1
        assert not ended.is_set()
        fcntl.flock(file, fcntl.LOCK_UN)
        opener.join()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # the threads are this test's own
@pytest.mark.parametrize("kind", ["memory", "mapping"])
def test_a_child_forked_while_threads_write_in_memory_does_not_hang(kind: str) -> None:
    shelf = coshelf.open("memory:" if kind == "memory" else {})
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            shelf[number % 100] = number

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(40):
            assert in_child(lambda: shelf.update(child=len(shelf))) == 0
    finally:
        stop.set()
        for writer in writers:
            writer.join()


def test_threads_share_a_writeback_cache_without_errors(path: str) -> None:
    failures: list[BaseException] = []
    with coshelf.open(path, writeback=True) as shelf:

        def work(seed: int) -> None:
            try:
                for number in range(150):
                    key = f"{(seed + number) % 7}"
                    shelf.setdefault(key, [])
                    if number % 5 == seed:
                        shelf.pop(key, None)
                    elif number % 11 == seed:
                        try:
                            shelf.sync()
                        except coshelf.Conflict:
                            continue
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [error for error in failures if not isinstance(error, coshelf.Conflict)] == []
