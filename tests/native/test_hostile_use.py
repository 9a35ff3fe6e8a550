"""The module in C keeps its promises where its arguments, its memory or the code beside it do what they seldom do."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import lmdb
import pytest

from coshelf import keys, records

WITHOUT_MEMORY = Path(__file__).parent / "without_memory.py"


class _Left(Exception):
    """Something was left to Python."""


def _leave(*_: Any) -> Any:
    raise _Left


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Descriptors of an LMDB file with a few records, one of them empty, and of its lock file."""
    path = str(tmp_path / "base")
    with lmdb.open(path, subdir=False, map_size=1 << 20) as environment:
        with environment.begin(write=True) as transaction:
            transaction.put(keys.encode("empty"), b"")
            for key in ("whole", "other"):
                body = pickle.dumps({"value": [key]}, 5)
                transaction.put(keys.encode(key), records.seal(body, records.checksum(keys.encode(key), body), 1))
        file, lock = os.open(path, os.O_RDONLY), os.open(f"{path}-lock", os.O_RDONLY)
        yield file, lock
    os.close(file)
    os.close(lock)


class _Instance:
    pass


def test_keys_that_dicts_of_instances_share_are_written_once(module: ModuleType) -> None:
    first, second = _Instance(), _Instance()
    for instance in (first, second):
        setattr(instance, "only_" + str(1), 1)
    # The cache of types holds the name, too. Python 3.13 gave the function another name.
    clear = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache
    clear()
    value = [first.__dict__, second.__dict__]
    assert module.either("dumps", _leave)(value) == pickle.dumps(value, 5)


def test_no_garbage_collection_runs_while_a_value_is_written(module: ModuleType) -> None:
    value: list[Any] = [[2**70 + number, {number}] for number in range(2_000)]
    expected, dumps = pickle.dumps(value, 5), module.either("dumps", _leave)

    def empty(phase: str, _: dict[str, int]) -> None:
        if phase == "start" and writing:
            value.clear()

    threshold, writing = gc.get_threshold(), False
    gc.callbacks.append(empty)
    gc.set_threshold(1)
    try:
        writing = True
        written = dumps(value)
        writing = False
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(empty)
    assert written == expected
    assert gc.isenabled()


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_enabled_afterwards_if_it_was_before(module: ModuleType, enabled: bool) -> None:
    dumps = module.either("dumps", _leave)
    (gc.enable if enabled else gc.disable)()
    try:
        dumps([1])
        with pytest.raises(_Left):
            dumps([object])
        assert gc.isenabled() is enabled
    finally:
        gc.enable()


@pytest.mark.parametrize("data", [b"](\x94e.", b"}(NNsu.", b"](Nae.", b"]((ee.", b"}((uu.", b"\x8f((\x90\x90."])
def test_instructions_that_reach_below_a_mark_are_left_to_python(module: ModuleType, data: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(b"\x80\x05" + data)
    with pytest.raises(_Left):
        module.either("loads", _leave)(b"\x80\x05" + data)


def test_function_that_a_collection_has_cleared_raises_an_error(module: ModuleType) -> None:
    function = module.either("dumps", _leave)
    find = ctypes.pythonapi.PyType_GetSlot
    find.argtypes, find.restype = [ctypes.py_object, ctypes.c_int], ctypes.c_void_p
    clear = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object)(find(type(function), 51))  # Py_tp_clear
    assert clear(function) == 0
    assert function(1) == pickle.dumps(1, 5)
    with pytest.raises(RuntimeError, match="garbage collection"):
        function(object)


def test_empty_record_is_read(module: ModuleType, files: tuple[int, int]) -> None:
    reader = module.BaseReader(files[0], files[0], files[1])
    assert reader.get(keys.encode("empty")) == b""
    assert reader.load("empty") is NotImplemented
    assert reader.load("whole") == {"value": ["whole"]}
    reader.close()


@pytest.mark.parametrize("place", [-4, 2, 8, sys.maxsize - 3, -sys.maxsize - 1])
def test_places_outside_of_the_state_are_refused(module: ModuleType, files: tuple[int, int], place: int) -> None:
    with pytest.raises(ValueError, match="state page"):
        module.BaseReader(files[0], files[0], files[1], bytearray(8), place)


def test_state_that_is_not_aligned_is_refused(module: ModuleType, files: tuple[int, int]) -> None:
    state = memoryview(bytearray(64))
    for start in range(1, 4):
        with pytest.raises(ValueError, match="state page"):
            module.BaseReader(files[0], files[0], files[1], state[start:], 0)
    module.BaseReader(files[0], files[0], files[1], state[4:], 0).close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="only C gives buffers before Python 3.12")
def test_state_may_close_its_reader_while_it_is_released(module: ModuleType, files: tuple[int, int]) -> None:
    released = []

    class State:
        def __buffer__(self, flags: int) -> memoryview:
            return memoryview(bytearray(64))

        def __release_buffer__(self, view: memoryview) -> None:
            reader.close()
            released.append(reader.get(b"empty"))

    reader = module.BaseReader(files[0], files[0], files[1], State(), 0)
    reader.close()
    reader.close()
    assert released == [NotImplemented]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="only C gives buffers before Python 3.12")
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError])
def test_errors_of_a_buffer_are_raised(module: ModuleType, error: type[BaseException]) -> None:
    class Failing:
        def __buffer__(self, flags: int) -> memoryview:
            raise error

    with pytest.raises(error):
        module.either("loads", _leave)(Failing())


def test_no_call_leaves_memory_behind(module: ModuleType, files: tuple[int, int]) -> None:
    dumps, loads = module.either("dumps", lambda _: None), module.either("loads", lambda _: None)
    reader = module.BaseReader(files[0], files[0], files[1])
    value = {"a": [1, 2.5, (2**70, -(2**70)), {"b", b"c"}, frozenset({1}), bytearray(9)], "d": list(range(300))}
    data = pickle.dumps(value, 5)
    arguments: list[tuple[Any, list[Any]]] = [
        (dumps, [value, [object], [value, object], "\ud800"]),
        (loads, [data, *(data[:size] for size in range(0, len(data), 3)), b"\x80\x05}]]s.", bytearray(data)]),
        (keys.encode, ["a", ("a", 1, ("b", None)), 2**64 - 1]),
        (keys.decode, [keys.encode(key) for key in ("a", ("a", 1, ("b", None)), tuple(range(20)), "\ud800")]),
        (reader.get, [keys.encode("empty"), b"none", "empty"]),
        (reader.load, ["whole", "empty", "none", ("a", 1)]),
    ]

    def use(times: int) -> int:
        for _ in range(times):
            for function, several in arguments:
                for argument in several:
                    function(argument)
        gc.collect()
        return sys.getallocatedblocks()

    times, grown = 400, []
    for _ in range(3):  # other threads of the test process allocate, too
        before = use(20)
        grown.append(use(times) - before)
    assert min(grown) < times / 2
    reader.close()


@pytest.mark.parametrize("part", ["dumps", "loads", "keys", "reader"])
def test_calls_without_memory_raise_memory_error_or_give_the_result(
    module: ModuleType, files: tuple[int, int], part: str
) -> None:
    if not sys.executable or subprocess.run([sys.executable, "-c", "import _testcapi"], check=False).returncode:
        pytest.skip("this Python has no _testcapi, which takes memory away")
    command = [sys.executable, str(WITHOUT_MEMORY), part, *map(str, files)]
    ran = subprocess.run(command, capture_output=True, text=True, pass_fds=files, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "failed" in ran.stdout
