"""The lock before LMDB's semaphores, with real semaphores and a lock file as LMDB writes it where it has no mutexes."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from coshelf.engines.lmdb.locks import semaphores
from coshelf.engines.lmdb.locks.semaphores import GuardedTransaction, WriterTurn, await_readers, names
from coshelf.errors import StorageError
from coshelf.system.locks import whole_file
from coshelf.system.memory.semaphores import Semaphore

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "sem_open"), reason="no named semaphores here")

DIES = """
import os, signal, sys
from coshelf.engines.lmdb.locks.semaphores import WriterTurn
from coshelf.system.memory.semaphores import Semaphore
lock, turn, name = sys.argv[1:]
held = WriterTurn(turn, os.open(lock, os.O_RDWR), name.encode(), lambda: 0)
held.take()
assert Semaphore(name.encode()).try_to_take()  # as LMDB does, when a write transaction begins
print("taken", flush=True)
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


class Place(NamedTuple):
    """A lock file and the names of its semaphores."""

    lock: Path
    turn: Path
    readers: bytes
    writers: bytes
    descriptor: int

    def opened(self, newest: int = 0) -> WriterTurn:
        return WriterTurn(str(self.turn), self.descriptor, self.writers, lambda: newest)

    def last(self) -> int:
        found: int = struct.unpack_from("Q", self.lock.read_bytes(), 40)[0]
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    library = ctypes.CDLL(None, use_errno=True)
    library.sem_open.restype = ctypes.c_void_p
    wanted = [f"/MDB{kind}{os.urandom(5).hex()}".encode() for kind in "rw"]
    made = [library.sem_open(name, os.O_CREAT | os.O_EXCL, 0o600, 1) for name in wanted]
    if None in made:
        pytest.skip("semaphores cannot be made here")
    lock = tmp_path / "base-lock"
    head = bytes(8) + wanted[0].ljust(32, b"\0") + bytes(24) + wanted[1]
    lock.write_bytes(head.ljust(8192, b"\0"))
    descriptor = os.open(lock, os.O_RDWR)
    yield Place(lock, tmp_path / "base-turn", *wanted, descriptor)
    os.close(descriptor)
    for name in wanted:
        library.sem_unlink(name)


def test_names_are_found_in_a_lock_file(place: Place, tmp_path: Path) -> None:
    assert names(place.descriptor) == (place.readers, place.writers)
    (tmp_path / "of mutexes").write_bytes(bytes(8192))
    descriptor = os.open(tmp_path / "of mutexes", os.O_RDONLY)
    assert names(descriptor) is None
    os.close(descriptor)


def test_semaphore_of_a_killed_writer_is_given_back(place: Place) -> None:
    semaphore = Semaphore(place.writers)
    turn = place.opened(newest=4312)
    arguments = [sys.executable, "-c", DIES, str(place.lock), str(place.turn), place.writers.decode()]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"taken\n"
        ours = os.open(place.turn, os.O_RDWR)
        assert not whole_file.try_to_take(ours, whole_file.EXCLUSIVE)  # while it lives, nobody takes it for dead
        assert not semaphore.try_to_take()
        os.close(ours)
        other.stdin.write(b"\n")
    turn.take()
    assert semaphore.try_to_take()
    assert place.last() == 4312  # the next commit must not use pages that the last one uses
    semaphore.give_back()
    turn.give_back()
    turn.close()
    semaphore.close()


def test_handler_that_interrupts_a_writer_takes_the_lock_again(place: Place) -> None:
    turn = place.opened()
    turn.take()
    semaphore = Semaphore(place.writers)
    assert semaphore.try_to_take()
    turn.take()  # what it interrupted has the semaphore: that is no death
    assert not semaphore.try_to_take()
    turn.give_back()
    turn.give_back()
    ours = os.open(place.turn, os.O_RDWR)
    assert whole_file.try_to_take(ours, whole_file.EXCLUSIVE)
    os.close(ours)
    semaphore.close()
    turn.close()


def test_lock_ends_with_the_transaction(place: Place) -> None:
    class Raw:
        def commit(self) -> None:
            raise OSError("a full disk")

        def abort(self) -> None:
            pass

        def id(self) -> int:
            return 7

    turn = place.opened()
    transaction = turn.begin(Raw)  # type: ignore[arg-type]
    assert isinstance(transaction, GuardedTransaction)
    assert transaction.id() == 7
    ours = os.open(place.turn, os.O_RDWR)
    assert not whole_file.try_to_take(ours, whole_file.EXCLUSIVE)
    with pytest.raises(OSError, match="full"):
        transaction.commit()
    assert whole_file.try_to_take(ours, whole_file.EXCLUSIVE)
    transaction.abort()  # once more does no harm
    os.close(ours)
    turn.close()


def test_readers_semaphore_that_stays_taken_is_reported(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semaphores, "_PATIENCE", 0.0)
    await_readers(place.readers, "jobs.shelf")
    semaphore = Semaphore(place.readers)
    assert semaphore.try_to_take()
    with pytest.raises(StorageError, match=r"jobs.shelf cannot be opened: a process was killed"):
        await_readers(place.readers, "jobs.shelf")
    semaphore.give_back()
    await_readers(place.readers, "jobs.shelf")
    semaphore.close()


def test_missing_semaphore_is_an_error_of_ours(place: Place) -> None:
    with pytest.raises(StorageError, match="cannot open the lock of writers"):
        WriterTurn(str(place.turn), place.descriptor, b"/MDBwmissing", lambda: 0)
