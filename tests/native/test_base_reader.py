"""The base is read without LMDB, beside LMDB's writers."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import lmdb
import pytest

HERE = Path(__file__).parent
KEYS = 3_000


def key_of(number: int) -> bytes:
    return b"k%06d" % number


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    path = str(tmp_path / "base")
    with lmdb.open(path, subdir=False, map_size=1 << 28) as environment:
        with environment.begin(write=True) as transaction:
            for number in range(KEYS):
                transaction.put(key_of(number), key_of(number) * (number % 40 + 1))
            transaction.put(b"large", bytes(60_000))
            transaction.put(b"larger", bytes(70_000))
        yield environment


@pytest.fixture
def reader(module: ModuleType, opened: Any) -> Iterator[Any]:
    file, lock = os.open(opened.path(), os.O_RDONLY), os.open(f"{opened.path()}-lock", os.O_RDONLY)
    ends = os.open(opened.path(), os.O_WRONLY)  # as LMDB opens the descriptor for its headers
    reader = module.BaseReader(file, ends, lock)
    yield reader
    reader.close()
    os.close(ends)
    os.close(file)


def test_every_record_is_found_and_no_other(reader: Any, opened: Any) -> None:
    with opened.begin() as transaction:
        for number in range(KEYS):
            assert reader.get(key_of(number)) == transaction.get(key_of(number))
    assert reader.get(b"large") == bytes(60_000)
    for missing in (b"", b"a", b"k", b"k0000001", b"zzz"):
        assert reader.get(missing) is None


def test_lmdb_is_asked_for_large_records_and_other_keys(reader: Any) -> None:
    assert reader.get(b"larger") is NotImplemented
    assert reader.get("k000001") is NotImplemented


def test_commits_are_seen_at_once(reader: Any, opened: Any) -> None:
    for number in range(200):
        with opened.begin(write=True) as transaction:
            transaction.put(b"counter", b"%d" % number)
            transaction.delete(key_of(number))
        assert reader.get(b"counter") == b"%d" % number
        assert reader.get(key_of(number)) is None


def test_file_that_grows_is_read_to_its_end(reader: Any, opened: Any) -> None:
    for number in range(3):
        with opened.begin(write=True) as transaction:
            transaction.put(b"z%d" % number, bytes([number]) * (30 << 20))
            transaction.put(b"y%d" % number, bytes([number]) * 1000)
    assert [reader.get(b"y%d" % number) for number in range(3)] == [bytes([number]) * 1000 for number in range(3)]
    with opened.begin(write=True) as transaction:  # on pages far beyond the first map
        for number in range(10_000):
            transaction.put(b"x%05d" % number, bytes(1000))
    assert [reader.get(b"x%05d" % number) for number in (0, 9_000, 9_999)] == [bytes(1000)] * 3
    assert reader.get(b"x99999") is None


def test_lmdb_is_asked_when_the_state_says_so(module: ModuleType, opened: Any) -> None:
    state = bytearray(4096)
    file, lock = os.open(opened.path(), os.O_RDONLY), os.open(f"{opened.path()}-lock", os.O_RDONLY)
    reader = module.BaseReader(file, file, lock, state, 368)
    assert reader.get(key_of(1)) is not NotImplemented
    state[368] = 1
    assert reader.get(key_of(1)) is NotImplemented
    state[368] = 0
    assert reader.get(key_of(1)) is not NotImplemented
    reader.close()
    state.clear()  # it is not held any more
    assert reader.get(key_of(1)) is NotImplemented
    os.close(file)


def test_other_files_are_refused(module: ModuleType, tmp_path: Path, opened: Any) -> None:
    other = tmp_path / "other"
    lock = os.open(f"{opened.path()}-lock", os.O_RDONLY)
    for contents in (b"", bytes(100), bytes(1 << 16), os.urandom(1 << 16)):
        other.write_bytes(contents)
        with other.open("rb") as file, pytest.raises((ValueError, OSError)):
            module.BaseReader(file.fileno(), file.fileno(), lock)
    with open(opened.path(), "rb") as file, pytest.raises(ValueError, match="state page"):
        module.BaseReader(file.fileno(), file.fileno(), lock, bytearray(16), 14)


@pytest.mark.parametrize("seconds", [1, pytest.param(60, marks=pytest.mark.long)])
def test_gets_beside_a_writer_see_whole_records_that_never_go_back(reader: Any, opened: Any, seconds: int) -> None:
    program = [sys.executable, str(HERE / "base_writer.py"), opened.path(), str(KEYS), str(seconds)]
    chance, latest, gets = random.Random(4), [0] * KEYS, 0
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "began\n"
        while writer.poll() is None:
            for _ in range(500):
                number = chance.randrange(KEYS)
                found = reader.get(key_of(number))
                gets += 1
                if found in (None, NotImplemented):
                    continue
                key, _, rest = found.partition(b" ")
                if rest:
                    commit, _, filling = rest.partition(b" ")
                    assert (key, filling) == (key_of(number), key * (len(filling) // len(key)))
                    assert int(commit) >= latest[number]
                    latest[number] = int(commit)
        assert writer.returncode == 0
    assert gets


@pytest.mark.parametrize(
    ("seed", "count"), [(1, 150), *[pytest.param(seed, 1000, marks=pytest.mark.long) for seed in range(2, 6)]]
)
def test_damaged_files_are_read_without_a_signal(module: ModuleType, opened: Any, seed: int, count: int) -> None:
    program = [sys.executable, str(HERE / "damaged_bases.py"), opened.path(), str(KEYS), str(seed), str(count)]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"{count} files\n"
