"""A preview tells what is stored without unpickling it, whatever the bytes are."""

from __future__ import annotations

import ast
import collections
import datetime as dt
import pickle
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import coshelf
from coshelf import records
from coshelf.inspection.preview import Preview, instructions, preview_of

LITERALS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)


class Recipe:
    """Somebody's class."""

    def __init__(self) -> None:
        self.name = "soup"


class Trap:
    """Unpickling it ends the tests."""

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, ("unpickled",)


def preview(value: Any, protocol: int = 5, length: int = 10_000) -> Preview:
    pickled = pickle.dumps(value, protocol)
    body = pickled if pickled[0] == records.PICKLE else bytes([records.OLD_PICKLE]) + pickled
    return preview_of(records.seal(body, 0, 1), length=length)


@given(LITERALS, st.integers(3, 5))
def test_plain_values_are_written_as_python_writes_them(value: Any, protocol: int) -> None:
    found = preview(value, protocol)
    assert found.problem is None
    assert found.type == type(value).__name__
    if "as before" not in found.text and "inf" not in found.text:
        assert ast.literal_eval(found.text) == value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        (Recipe(), f"{__name__}.Recipe", f"{__name__}.Recipe(name='soup')"),
        (Decimal("1.5"), "decimal.Decimal", "decimal.Decimal('1.5')"),
        (dt.timedelta(3), "datetime.timedelta", "datetime.timedelta(days=3)"),
        (collections.Counter("a"), "collections.Counter", "collections.Counter({'a': 1})"),
        (range(3), "range", "range(0, 3, 1)"),
        (print, "name", "print"),
        (ValueError("x"), "ValueError", "ValueError('x')"),
        (b"ab", "bytes", "b'ab'"),
        (True, "bool", "True"),
        (2**4000, "int", None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_classes_are_named_and_not_looked_up(value: Any, type_: str, text: str | None, protocol: int) -> None:
    found = preview(value, protocol)
    assert (found.type, found.problem) == (type_, None)
    assert text is None or found.text == text


def test_arrays_are_told_by_shape_and_type() -> None:
    numpy = pytest.importorskip("numpy")
    for protocol in range(2, 6):
        found = preview(numpy.zeros((3, 4)), protocol)
        assert found.type == "numpy.ndarray"
        assert found.text == "<numpy.ndarray (3, 4) float64>"


def test_names_that_unpickling_would_ask_for_are_told() -> None:
    assert preview([Trap(), Recipe()]).names == ("sys.exit", f"{__name__}.Recipe")


def test_large_values_take_little_time_and_memory() -> None:
    found = preview({"x" * 1_000_000: list(range(100_000))}, length=60)
    assert found.type == "dict"
    assert found.size > 1_000_000
    assert len(found.text) < 120
    assert found.problem == "more than 5,000 instructions"
    inside = preview(b"x" * 10_000_000)
    assert (inside.type, inside.problem) == ("bytes", None)


def test_value_inside_itself_has_an_end() -> None:
    value: list[Any] = [1]
    value.append(value)
    assert preview(value).text == "[1, <list as before>]"
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    assert preview(deep).text == "[[[[[[[...]]]]]]]"


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b".", b"0.", b"R.", b"\x80", b"\x80\x05", b"\x80\x05K", b"(.", b"t.", b"}(K\x01u."),
        *(b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.", b"\x8b\xff\xff\xff\xff.", b"cos\nsystem", b"g99\n.", b"\x97\x98."),
        *(b"I" + b"9" * 100_000 + b"\n.", b"\xff", b"\x93.", b"(o.", b"N" * 100 + b".", b"b.", b"Nb.", b"e.", b"P1\n."),
    ],
)
def test_what_is_no_pickle_has_a_preview_all_the_same(data: bytes) -> None:
    for tag in (b"\x01", b"\x80", b""):
        found = preview_of(records.seal(tag + data, 0, 1))
        assert isinstance(found.text, str) and len(found.text) < 200
        assert str(found.as_dict())


@given(st.binary(max_size=60), st.sampled_from([b"\x80\x05", b"\x01", b"\x02", b""]))
def test_any_bytes_have_a_preview(data: bytes, begin: bytes) -> None:
    found = preview_of(records.seal(begin + data, 0, 1))
    assert len(found.text) <= 400


@given(LITERALS, st.integers(0, 5), st.data())
def test_damaged_pickles_have_a_preview(value: Any, protocol: int, data: st.DataObject) -> None:
    pickled = bytearray(pickle.dumps(value, protocol))
    pickled[data.draw(st.integers(0, len(pickled) - 1))] = data.draw(st.integers(0, 255))
    preview_of(records.seal(b"\x01" + bytes(pickled), 0, 1))


@given(LITERALS, st.integers(0, 5))
def test_instructions_are_those_of_pickletools(value: Any, protocol: int) -> None:
    import pickletools

    pickled = pickle.dumps(value, protocol)
    known = [(at, kind.name) for kind, _, at in pickletools.genops(pickled)]
    assert [(each.at, each.name) for each in instructions(pickled)] == known


def test_shelves_show_previews_of_what_they_would_not_load(tmp_path: Any) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["trap"] = Trap()
        shelf["folder/n"] = 1
        found = shelf.preview("trap")
        assert (found.type, found.stored_as) == ("sys.exit", "pickle 5")
        assert found.names == ("sys.exit",)
        assert shelf.sub("folder").preview("n").text == "1"
        assert "sys.exit" in shelf._repr_html_()
        with shelf.snapshot() as snapshot, pytest.raises(KeyError):
            snapshot.preview("none")
    with coshelf.open(tmp_path / "signed.shelf", sign=b"0" * 16) as shelf:
        shelf["a"] = {"b": 1}
        assert shelf.preview("a").text == "{'b': 1}"
        assert shelf.preview("a").stored_as.startswith("signed ")
