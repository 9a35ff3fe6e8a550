"""What is done in C is what Python does, in its results and its errors."""

from __future__ import annotations

import collections
import os
import pickle
import random
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from plain_values import a_key, a_value, mutated

from coshelf import keys, native, records
from coshelf.engines.lmdb.pages.closing_stamp import page_checksums
from coshelf.engines.lmdb.pages.inner_pages import checksum_of_pages

_LONG = (pytest.mark.long, pytest.mark.timeout(1800))
COUNTS = [2_000, pytest.param(200_000, marks=_LONG)]
A_MILLION = [(0, 2_000), *[pytest.param((at, at + 100_000), marks=_LONG) for at in range(0, 1_000_000, 100_000)]]


class _Left(Exception):
    """Something was left to Python."""


def _leave(*_: Any, **__: Any) -> Any:
    raise _Left


def _outcome(function: Any, argument: Any) -> tuple[type, str]:
    try:
        result = function(argument)
    except Exception as error:
        return type(error), str(error)
    return type(result), repr(result)


@pytest.mark.parametrize("seeds", A_MILLION, ids=lambda seeds: f"{seeds[0]}-{seeds[1]}")
def test_pickles_are_those_of_pickle_byte_for_byte(module: ModuleType, seeds: tuple[int, int]) -> None:
    dumps, loads = module.either("dumps", _leave), module.either("loads", _leave)
    for seed in range(*seeds):
        value = a_value(seed, shared=bool(seed % 2))
        expected = pickle.dumps(value, 5)
        assert dumps(value) == expected, seed
        found, again = loads(expected), pickle.dumps(pickle.loads(expected), 5)
        assert pickle.dumps(found, 5) == again, seed  # the same types, values, order and shared objects
        assert dumps(found) == again, seed


@pytest.mark.parametrize("count", COUNTS)
def test_damaged_pickles_are_what_pickle_takes_them_for(module: ModuleType, count: int) -> None:
    loads = module.either("loads", pickle.loads)
    for seed in range(count):
        value = a_value(seed, shared=bool(seed % 2))
        data = mutated(pickle.dumps(value, 2 + seed % 4), seed)
        if b"\x8e" not in data and b"\x8d" not in data and b"\x96" not in data:  # which may ask for exabytes
            assert _outcome(loads, data) == _outcome(pickle.loads, data), seed


@pytest.mark.parametrize(
    "value",
    [
        collections.OrderedDict(a=1),
        [1, {2: object}],
        type("Sub", (int,), {})(3),
        type("Sub", (dict,), {})(a=1),
        2 + 3j,
        range(3),
        [memoryview(b"x")],
    ],
)
def test_what_is_not_plain_is_left_to_python(module: ModuleType, value: Any) -> None:
    with pytest.raises(_Left):
        module.either("dumps", _leave)(value)


def test_values_that_hold_themselves_are_written_as_pickle_writes_them(module: ModuleType) -> None:
    endless: list[Any] = [1]
    endless.append(endless)
    by_key: dict[Any, Any] = {}
    by_key["self"] = (by_key, endless)
    dumps = module.either("dumps", lambda value: pickle.dumps(value, 5))
    of_tuple: tuple[Any, ...] = ([],)
    of_tuple[0].append(of_tuple)
    for value in (endless, by_key, of_tuple):
        assert dumps(value) == pickle.dumps(value, 5)


def test_deep_nesting_is_left_to_python(module: ModuleType) -> None:
    deep: Any = ()
    for _ in range(600):
        deep = (deep,)
    with pytest.raises(_Left):
        module.either("dumps", _leave)(deep)
    with pytest.raises(_Left):
        module.either("loads", _leave)(b"\x80\x05)" + b"\x85" * 600 + b".")
    shallow = b"\x80\x05)" + b"\x85" * 400 + b"."
    assert module.either("loads", _leave)(shallow) == pickle.loads(shallow)


def test_hashing_that_its_size_cannot_need_is_left_to_python(module: ModuleType) -> None:
    doubling = b"\x80\x05)" + b"\x94h\x00\x86" + b"".join(b"\x94h" + bytes([n]) + b"\x86" for n in range(1, 60))
    with pytest.raises(_Left):
        module.either("loads", _leave)(doubling + b"}" + b"\x94" + b"h\x10" + b"Ns.")
    with pytest.raises(_Left):
        module.either("loads", _leave)(b"\x80\x05\x8f(" + doubling[2:] + b"\x90.")


def test_values_that_are_not_plain_are_soon_left_to_python_at_once(module: ModuleType) -> None:
    attempts = []

    class Tried(dict[str, int]):
        pass

    dumps = module.either("dumps", lambda value: attempts.append(value) or b"left")
    plain, other = {"a": 1}, Tried(a=1)
    assert [dumps(other) for _ in range(100)] == [b"left"] * 100
    left = [dumps(plain) == b"left" for _ in range(100)]
    assert left.count(True) <= 63
    assert not any(left[64:])
    assert dumps(other) == b"left"
    assert dumps(plain) != b"left"


@pytest.mark.parametrize("count", COUNTS)
def test_keys_are_encoded_and_decoded_as_in_python(module: ModuleType, count: int) -> None:
    encode, decode = keys.encode.fallback, keys.decode.fallback  # type: ignore[attr-defined]
    assert module.either("encode_key", _leave)(("a", 1)) == encode(("a", 1))
    for seed in range(count):
        key = a_key(seed)
        encoded = encode(key)
        assert keys.encode(key) == encoded, key
        assert _outcome(keys.decode, encoded) == _outcome(decode, encoded), key
        damaged = mutated(encoded, seed)
        assert _outcome(keys.decode, damaged) == _outcome(decode, damaged), damaged


def test_keys_that_are_none_are_refused_in_the_same_words(module: ModuleType) -> None:
    for key in ([], {}, object, float("nan"), (1, []), 2j):
        assert _outcome(keys.encode, key) == _outcome(keys.encode.fallback, key)  # type: ignore[attr-defined]


def test_checksums_are_those_of_zlib(module: ModuleType) -> None:
    for length in (*range(1, 200), 255, 4096, 70_001):
        body, key = os.urandom(length), os.urandom(length % 13)
        assert module.checksum(key, body) == zlib.crc32(body, zlib.crc32(key))
        record = records.seal(body, module.checksum(key, body), 7)
        assert module.is_intact(key, record)
        assert module.is_intact(key, memoryview(record))
        changed = bytearray(record)
        changed[length // 2] ^= 1
        assert not module.is_intact(key, bytes(changed))


def test_environment_keeps_the_module_out() -> None:
    program = "from coshelf import native, keys; print(native.in_use, native.reason, keys.encode('a'))"
    environment = {**os.environ, "COSHELF_NATIVE": "0"}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "False COSHELF_NATIVE is 0 b'0a'\n"


def test_reason_is_given_where_the_module_is_not_in_use() -> None:
    assert native.in_use is not bool(native.reason)


def test_checksums_of_pages_are_those_of_zlib(module: ModuleType) -> None:
    chance = random.Random(7)
    for _ in range(1_000):
        size = chance.choice([16, 64, 80, 100, 4096, 4097, 5552, 5553, 32768])
        length = chance.randrange(3 * size + 2)
        pages = chance.choice([chance.randbytes(length), b"\xff" * length, bytes(length)])
        assert module.page_checksums(pages, size) == page_checksums(pages, size), (size, length)
    with pytest.raises(ValueError, match="positive"):
        module.page_checksums(b"page", 0)


def test_checksum_of_scattered_pages_is_that_of_zlib(module: ModuleType, tmp_path: Path) -> None:
    chance = random.Random(11)
    for size in (4096, 32768):
        pages = [number.to_bytes(8, "little") + b"\0\0\1\0" + chance.randbytes(size - 12) for number in range(20)]
        path = tmp_path / f"pages-{size}"
        path.write_bytes(b"".join(pages)[:-1])  # the last page is cut
        with path.open("r+b") as file:
            file.seek(7 * size)
            file.write(b"\1")  # another number
            file.seek(11 * size + 10)
            file.write(b"\2")  # another kind
            file.flush()
            for numbers in ([], [3], [18, 2, 5, 5], [1, 7], [11, 1], [3, 19], [3, 20], [3, 1 << 40]):
                wanted = checksum_of_pages(file.fileno(), numbers, size, 1, 5)
                assert module.checksum_of_pages(file.fileno(), numbers, size, 1, 5) == wanted, numbers
                assert (wanted is None) == bool({7, 11, 19, 20, 1 << 40} & set(numbers))
    for function in (module.checksum_of_pages, checksum_of_pages):
        with pytest.raises(OSError, match="Bad file descriptor"):
            function(-1, [3], 4096, 1, 0)
    for size in (0, 1, 1 << 20):
        with pytest.raises(ValueError, match="size"):
            module.checksum_of_pages(0, [3], size, 1, 0)
