"""What comes back in place, and what as a copy, per kind of buffer."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from arrays import LARGE, blobs, signed

import coshelf

COUNT = LARGE // 8

NUMPY: dict[str, Callable[[], Any]] = {
    "floats": lambda: np.arange(COUNT, dtype="f8"),
    "Fortran": lambda: np.asfortranarray(np.arange(COUNT, dtype="f8").reshape(1024, -1)),
    "big-endian": lambda: np.arange(COUNT, dtype=">f8"),
    "strided": lambda: np.arange(3 * COUNT, dtype="f8")[::3],
    "reversed": lambda: np.arange(COUNT, dtype="i8")[::-1],
    "transposed": lambda: np.arange(COUNT, dtype="f8").reshape(2, 512, -1).transpose(1, 0, 2),
    "broadcast": lambda: np.broadcast_to(np.arange(1024.0), (128, 1024)),
    "read-only": lambda: _locked(np.arange(COUNT, dtype="f8")),
    "structured": lambda: np.zeros(COUNT, dtype=[("a", "<i4"), ("b", "S4", (3,)), ("c", ">f8")]),
    "times": lambda: np.arange(COUNT).astype("datetime64[s]"),
    "complex": lambda: np.arange(COUNT) * 1j,
    "bools": lambda: np.arange(LARGE) % 3 == 0,
    "texts": lambda: np.array(["a", "ä" * 300_000]),
    "without dimensions": lambda: np.array(b"x" * LARGE),
    "no column": lambda: np.zeros((LARGE, 0)),
    "objects": lambda: np.array([None, "text", 3] * 100_000, dtype=object),
    "empty": lambda: np.array([]),
}
NOT_IN_PLACE = ("objects", "no column", "empty")


def _locked(array: Any) -> Any:
    array.flags.writeable = False
    return array


def _same(found: Any, expected: Any) -> bool:
    return (
        type(found) is type(expected)
        and (found.dtype, found.shape) == (expected.dtype, expected.shape)
        and bool(np.array_equal(found, expected))
    )


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("kind", NUMPY)
def test_an_array_comes_back_in_place_or_as_a_copy(path: str, kind: str, wrapped: bool) -> None:
    array = NUMPY[kind]()
    with coshelf.open(path) as shelf:
        shelf["a"] = [1, array] if wrapped else array

        def get(**options: Any) -> Any:
            found = shelf.get("a", **options)
            return found[1] if wrapped else found

        assert _same(get(), array)
        assert get().flags.writeable == (kind in NOT_IN_PLACE)
        assert len(blobs(path)) == (kind not in NOT_IN_PLACE)
        copy = get(copy=True)
        assert _same(copy, array) and copy.flags.writeable
        copy[...] = np.zeros((), copy.dtype)
        assert _same(get(), array), "a copy is the caller's own"


@pytest.mark.parametrize("size", [LARGE - 9, LARGE - 8, LARGE - 1, LARGE, LARGE + 1])
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(
    "make", [bytearray, lambda size: memoryview(bytearray(size)), lambda size: np.zeros(size, "u1")]
)
def test_buffers_are_in_place_from_one_mebibyte_on_and_ordinary_below(
    path: str, make: Callable[[int], Any], beside: bool, size: int
) -> None:
    with coshelf.open(path) as shelf:
        value = make(size)
        shelf["a"] = [value, *([signed(1)] if beside else [])]
        assert memoryview(shelf["a"][0]).readonly == (size >= LARGE)
        if size < LARGE:
            assert type(shelf["a"][0]) is type(value)
        assert len(blobs(path)) == (size >= LARGE or beside)
        assert memoryview(shelf["a"][0]) == memoryview(value)
        own = shelf.get("a", copy=True)[0]
        assert type(own) is type(value) and not memoryview(own).readonly


def test_a_bytearray_comes_back_as_a_view_and_as_a_copy_of_its_own(path: str) -> None:
    data = bytearray(range(256)) * 4096
    with coshelf.open(path) as shelf:
        for value in (data, [data], {"a": {"b": data, "same": data}}):
            shelf["a"] = value
            assert shelf.get("a", copy=True) == value
        found = shelf["a"]["a"]
        assert type(found["b"]) is memoryview and found["b"].readonly and found["b"] == data
        assert found["same"] is found["b"], "one object comes back as one"
        assert type(shelf.get("a", copy=True)["a"]["b"]) is bytearray


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize(
    "shape", [("B", (LARGE,)), ("d", (COUNT,)), ("i", (1 << 9, 1 << 9)), ("B", (2, 2, LARGE // 4))]
)
def test_a_memoryview_keeps_its_format_and_shape(path: str, shape: tuple[str, tuple[int, ...]], readonly: bool) -> None:
    view = memoryview(bytes(range(256)) * (LARGE // 256) if readonly else bytearray(range(256)) * (LARGE // 256))
    if shape[0] != "B" or len(shape[1]) > 1:
        view = view.cast(*shape) if shape[0] == "B" else view.cast("B").cast(*shape)
    with coshelf.open(path) as shelf:
        shelf["a"] = {"view": view}
        found, copy = shelf["a"]["view"], shelf.get("a", copy=True)["view"]
        for each in (found, copy):
            assert (each.format, each.shape, each.tobytes()) == (view.format, view.shape, view.tobytes())
        assert found.readonly and not copy.readonly


def test_a_memoryview_with_steps_is_stored_as_what_it_shows(path: str) -> None:
    view = memoryview(bytearray(range(256)) * 16384)[::3]
    with coshelf.open(path) as shelf:
        shelf["a"] = view
        assert shelf["a"] == view and len(blobs(path)) == 1


def test_bytes_are_bytes_whatever_their_size(path: str) -> None:
    """They are immutable, and pickle never passes them on."""
    with coshelf.open(path) as shelf:
        shelf["a"] = [b"x" * (2 * LARGE), "x" * (2 * LARGE), signed(1)]
        assert [type(part) for part in shelf["a"][:2]] == [bytes, str]
        assert shelf["a"][0] == b"x" * (2 * LARGE) and not shelf["a"][2].flags.writeable


def test_subclasses_come_back_as_what_they_are(path: str) -> None:
    values = [
        np.arange(COUNT, dtype="f8").reshape(1024, -1).view(np.matrix),
        np.rec.array(np.zeros(COUNT, dtype=[("a", "f8")])),
        np.ma.masked_array(np.arange(COUNT), mask=np.arange(COUNT) % 2 == 0),
        ByteArray(LARGE),
        np.array([np.arange(COUNT), np.arange(COUNT + 1)], dtype=object),
    ]
    with coshelf.open(path) as shelf:
        for value in values:
            shelf["a"] = value
            for found in (shelf["a"], shelf.get("a", copy=True)):
                assert type(found) is type(value)
                assert repr(found) == repr(value) and len(found) == len(value)


class ByteArray(bytearray):
    """Somebody's own."""


def test_arrow_tables_come_back_in_place(path: str) -> None:
    table = pa.table({"n": pa.array(range(COUNT)), "s": pa.array(["text"] * COUNT)})
    with coshelf.open(path) as shelf:
        shelf["a"] = {"table": table, "short": table.slice(10, 5)}
        before = pa.total_allocated_bytes()
        found = shelf["a"]["table"]
        assert pa.total_allocated_bytes() - before < LARGE, "nothing was copied"
        assert found.equals(table) and shelf["a"]["short"].equals(table.slice(10, 5))
        assert shelf.get("a", copy=True)["table"].equals(table)
    assert found["n"].to_numpy()[-1] == COUNT - 1


def test_a_value_may_have_hundreds_of_buffers_and_they_keep_their_order(path: str) -> None:
    small = np.arange(10)
    value: list[Any] = []
    for number in range(40):
        value += [signed(number), small, bytearray([number]) * LARGE, b"x" * number, memoryview(signed(number + 100))]
    with coshelf.open(path) as shelf:
        shelf["a"] = value
        assert len(blobs(path)) == 1
        for found in (shelf["a"], shelf.get("a", copy=True)):
            assert all(memoryview(a) == memoryview(b) for a, b in zip(found, value, strict=True))


def test_the_same_array_twice_is_one_array(path: str) -> None:
    array = signed(1)
    with coshelf.open(path) as shelf:
        shelf["a"] = collections.OrderedDict(a=array, b=[array])
        found = shelf["a"]
        assert found["b"][0] is found["a"]
        assert shelf.get("a", copy=True)["b"][0].shape == array.shape


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_older_protocols_have_no_blobs_and_give_ordinary_arrays(path: str, protocol: int) -> None:
    with coshelf.open(path, protocol=protocol) as shelf:
        shelf["a"] = [signed(1), bytearray(LARGE), memoryview(bytes(LARGE))]
        array, data, view = shelf["a"]
        assert array.flags.writeable and type(data) is bytearray and view.nbytes == LARGE
        assert blobs(path) == []


def test_drop_in_modules_give_ordinary_arrays(path: str) -> None:
    from coshelf import shelve

    with shelve.open(path) as shelf:
        shelf["a"] = [signed(1), bytearray(LARGE)]
        array, data = shelf["a"]
        assert array.flags.writeable and type(data) is bytearray
        assert blobs(path) == []


def test_writeback_gives_ordinary_arrays_and_writes_back_what_changed(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"], shelf["b"] = signed(1), [signed(2)]
    before = blobs(path)
    with coshelf.open(path, writeback=True) as shelf:
        shelf["a"][5] = 200
        shelf["b"][0][6]
    with coshelf.open(path) as shelf:
        assert shelf["a"][5] == 200 and shelf["b"][0].tolist() == signed(2).tolist()
    assert len({*before, *blobs(path)}) == 3, "what nobody changed was not written"


def test_edit_hands_out_an_array_that_can_be_written(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = signed(1)
        with shelf.edit("a") as array:
            array[5] = 200
        assert shelf["a"][5] == 200
        assert shelf.modify("a", lambda array: array + 1)[5] == 201
        assert shelf["a"][5] == 201
        assert shelf.pop("a")[5] == 201
        shelf.sync()
    assert blobs(path) == []


def test_plain_data_needs_no_trust(path: str) -> None:
    value = {"array": signed(1), "view": memoryview(signed(2)).cast("B", (2, LARGE // 2)), "bytes": bytearray(LARGE)}
    with coshelf.open(path) as shelf:
        shelf["a"] = value
    with coshelf.open(path, trust=False) as shelf:
        for found in (shelf["a"], shelf.get("a", copy=True)):
            assert all(memoryview(found[name]) == memoryview(value[name]) for name in value)
