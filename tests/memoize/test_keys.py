"""The keys of memoized calls."""

from __future__ import annotations

import datetime as dt
import pathlib
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memo_arguments import ARGUMENTS, Colour, Point

import coshelf
from coshelf import UnkeyableArgument, keys
from starting import environment

PRINTS = Path(__file__).parent / "scripts" / "keys" / "prints_keys.py"

shelf: coshelf.Shelf[Any, Any] = coshelf.open("memory:")


@shelf.memoize
def function(value: Any) -> None: ...


@shelf.memoize(typed=True)
def typed(value: Any) -> None: ...


def key_of(value: Any) -> Any:
    return function.cache_key(value)[2]


def typed_key_of(value: Any) -> Any:
    return typed.cache_key(value)[2]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=8,
)
nested = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3) | st.sets(plain, max_size=3),
    max_leaves=12,
)


def has_negative_zero(value: Any) -> bool:
    if isinstance(value, (tuple, list, set)):
        return any(map(has_negative_zero, value))
    if isinstance(value, dict):
        return any(map(has_negative_zero, [*value.keys(), *value.values()]))
    return isinstance(value, float) and str(value) == "-0.0"


# --- which arguments meet --------------------------------------------------------------------------------------------


@given(plain, plain)
def test_plain_arguments_meet_if_they_are_the_same_key(one: Any, other: Any) -> None:
    if not (has_negative_zero(one) or has_negative_zero(other)):
        assert (function.cache_key(one) == function.cache_key(other)) == (one == other)


@given(nested, nested)
def test_nested_arguments_meet_if_they_are_equal(one: Any, other: Any) -> None:
    if not (has_negative_zero(one) or has_negative_zero(other)):
        assert (function.cache_key(one) == function.cache_key(other)) == (one == other)


@given(nested, st.randoms(use_true_random=False))
def test_the_order_of_dicts_and_sets_does_not_matter(value: Any, chance: random.Random) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            items = [(key, turned(item)) for key, item in value.items()]
            chance.shuffle(items)
            return dict(items)
        if isinstance(value, set):
            items = list(value)
            chance.shuffle(items)
            return set(items)
        return [*map(turned, value)] if isinstance(value, list) else value

    assert key_of(turned(value)) == key_of(value)
    assert typed_key_of(turned(value)) == typed_key_of(value)


@given(nested)
def test_every_key_is_a_short_key_of_a_shelf_and_comes_back(value: Any) -> None:
    for key in (function.cache_key(value), typed.cache_key(value)):
        other: coshelf.Shelf[Any, Any] = coshelf.open({})
        other[key] = 1
        assert list(other) == [key]
        assert len(keys.encode(key)) < 512


def test_arguments_of_all_kinds_have_different_keys() -> None:
    for of in (key_of, typed_key_of):
        keys = {name: of(make()) for name, make in ARGUMENTS.items()}
        assert len(set(keys.values())) == len(ARGUMENTS)
        assert keys == {name: of(make()) for name, make in ARGUMENTS.items()}


def test_the_same_keys_in_processes_with_other_hash_seeds() -> None:
    printed = {
        subprocess.run(
            [sys.executable, PRINTS],
            env=environment() | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "random")
    }
    assert len(printed) == 1
    assert len(printed.pop().splitlines()) == 2 * len(ARGUMENTS)


def test_keys_are_those_of_every_version() -> None:
    assert function.cache_key(5) == (f"{__name__}.function", None, 5)
    assert key_of([1, {"a": 2.5}, None]) == ("digest", bytes.fromhex("b357529147fed2b0308154d69bbff982"))
    assert key_of({"b", "a"}) == ("digest", bytes.fromhex("aa79b3aa7c053faf1f2b7479acbce5f1"))
    assert key_of(dt.date(2026, 11, 30)) == ("digest", bytes.fromhex("55aa11a71ab080b9570205fcd63f5988"))
    assert key_of(np.arange(3, dtype="<i8")) == ("digest", bytes.fromhex("56a9ddd9d0875306ea1d9a9ba077ec53"))
    assert key_of("x" * 1000) == ("digest", bytes.fromhex("42a4b3316b5835a23f54b1735b8cd3e7"))
    assert typed_key_of(5) == ("int", 5)


def test_true_and_1_meet_unless_typed() -> None:
    for same in ((1, True, 1.0, np.int64(1), np.float32(1), np.True_), ([1], [True], [np.float64(1)])):
        assert len({function.cache_key(value) for value in same}) == 1
        assert len({typed.cache_key(value) for value in same}) == len(same)


def test_parts_cannot_be_taken_for_others() -> None:
    pairs: list[tuple[Any, Any]] = [
        ({"a": "b\0str=c"}, {"a\0str=b": "c"}),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        (["a", "b"], ["ab"]),
        ([[1], 2], [[1, 2]]),
        ({1: (2,)}, {(1,): 2}),
        ([], [[]]),
        ("str=a", b"str=a"),
        (("int", 1), 1),
    ]
    for one, other in pairs:
        assert function.cache_key(one) != function.cache_key(other)
        assert typed.cache_key(one) != typed.cache_key(other)


def test_nan_meets_nan_and_negative_zero_is_apart() -> None:
    assert key_of(float("nan")) == key_of(-float("nan")) == key_of(np.float32("nan"))
    assert key_of(0.0) == key_of(0) != key_of(-0.0)
    assert key_of([0.0]) == key_of([0]) != key_of([-0.0])


def test_texts_of_numpy_are_texts() -> None:
    assert key_of(np.str_("a")) == "a"
    assert key_of(np.bytes_(b"a")) == b"a"


def test_arrays_are_told_apart_by_content_and_not_by_layout() -> None:
    array = np.arange(12.0).reshape(3, 4)
    same = [np.asfortranarray(array), array.astype(">f8"), np.repeat(array, 2, axis=1)[:, ::2], array.copy()]
    assert {key_of(other) for other in same} == {key_of(array)}
    assert key_of(array.T) != key_of(array)
    assert key_of(array.astype("f4")) != key_of(array)


def test_unused_bytes_of_records_do_not_matter() -> None:
    kind = np.dtype([("a", "i1"), ("b", "i8")], align=True)
    one, other = np.zeros(2, kind), np.frombuffer(bytearray(b"\xff" * 32), kind)  # a copy may drop unused bytes
    other["a"] = other["b"] = 0
    assert other.view("u1").any()
    assert key_of(one) == key_of(other)


def test_dataframes_are_told_apart_by_columns_index_and_content() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", None]}, index=["p", "q"])
    others = [
        frame.rename(columns={"a": "c"}),
        frame.set_index("a"),
        frame.astype({"a": float}),
        frame[["b", "a"]],
        frame.iloc[::-1],
        frame["a"],
        frame["a"].rename("c"),
        frame.index,
        frame.assign(b=pandas.Categorical(["x", None])),
        frame.assign(a=pandas.to_datetime(["2026-11-30", None])),
    ]
    assert key_of(frame.copy()) == key_of(frame)
    assert len({key_of(other) for other in [frame, *others]}) == len(others) + 1


def test_the_same_object_several_times_is_quick_and_equals_copies() -> None:
    value: Any = [1]
    for _ in range(60):
        value = [value, value]
    assert key_of(value) == key_of(value)
    assert key_of([(inner := [1]), inner]) == key_of([[1], [1]])


# --- what is refused -------------------------------------------------------------------------------------------------


def looped() -> list[Any]:
    value: list[Any] = []
    value.append({"again": value})
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(1000):
        value = [value]
    return value


class Plain:
    """No form is known for it."""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "builtins.object has no form"),
        ([Plain()], "test_keys.Plain has no form"),
        (lambda: 1, "<lambda> cannot be imported"),
        (looped(), "builtins.list contains itself"),
        (deep(), "more than 100 levels deep"),
        (iter([1]), "builtins.list_iterator has no form"),
        (np.zeros(2, np.longdouble), "arrays of float128 have no form"),
        (np.ma.masked_array([1]), "MaskedArray has no form"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_stable_form_is_refused_by_name(value: Any, reason: str) -> None:
    with pytest.raises(UnkeyableArgument, match=reason) as caught:
        function(value)
    assert "the argument 'value' of function()" in str(caught.value)
    assert "ignore=('value',)" in str(caught.value)
    assert caught.value.argument == "value"
    assert len(shelf) == 0


def test_subclass_is_not_taken_for_its_base() -> None:
    class Text(str):
        __slots__ = ()

    class Table(dict[str, int]):
        pass

    for value in (Text("a"), Table(a=1)):
        with pytest.raises(UnkeyableArgument, match="has no form"):
            function(value)


# --- parameters ------------------------------------------------------------------------------------------------------


@shelf.memoize
def several(a: int, /, b: int, c: Any = 3, *rest: int, d: int = 4, **more: int) -> None: ...


def test_calls_with_the_same_arguments_meet() -> None:
    key = several.cache_key(1, 2)
    assert key[2:] == (1, 2, 3, (), 4, ())
    assert several.cache_key(1, b=2) == several.cache_key(1, 2, 3) == several.cache_key(1, d=4, c=3, b=2) == key
    assert several.cache_key(1, 2, 3, 4)[2:] == (1, 2, 3, (4,), 4, ())
    assert several.cache_key(1, 2, x=5, a=6)[2:] == (1, 2, 3, (), 4, (("a", 6), ("x", 5)))
    assert several.cache_key(1, 2, x=5, a=6) == several.cache_key(1, 2, a=6, x=5)


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ("b", (1, 3, (5, 6), 7, (("x", 8),))),
        (1, (1, 3, (5, 6), 7, (("x", 8),))),
        (("a", "d"), (2, 3, (5, 6), (("x", 8),))),
        ("rest", (1, 2, 3, 7, (("x", 8),))),
        (3, (1, 2, 3, (6,), 7, (("x", 8),))),
        ("x", (1, 2, 3, (5, 6), 7, ())),
        ("more", (1, 2, 3, (5, 6), 7)),
    ],
)
def test_ignored_arguments_are_not_in_the_key(ignore: Any, left: tuple[Any, ...]) -> None:
    partly = shelf.memoize(ignore=ignore)(several.__wrapped__)
    assert partly.cache_key(1, 2, 3, 5, 6, d=7, x=8)[2:] == left


@pytest.mark.parametrize("ignore", ["z", 1, -1, (None,)])
def test_ignoring_what_is_no_parameter_is_refused(ignore: Any) -> None:
    with pytest.raises(TypeError, match=r"function\(\) has no parameter"):
        shelf.memoize(ignore=ignore)(function.__wrapped__)


def test_version_and_key_are_part_of_the_key() -> None:
    def area(shape: Any) -> None: ...

    newer = shelf.memoize(version="2b", key=lambda shape: shape["name"])(area)
    assert newer.cache_key({"name": "circle"})[1:] == ("2b", "circle")
    with pytest.raises(coshelf.InvalidKey):
        shelf.memoize(version=[1])(area)


def test_wrong_arguments_are_a_type_error_that_names_the_function() -> None:
    with pytest.raises(TypeError, match=r"^function\(\): missing a required argument: 'value'$"):
        function()  # type: ignore[call-arg]


def test_long_names_and_long_keys_are_bounded() -> None:
    def long() -> None: ...

    long.__qualname__ = "x" * 2000
    key = shelf.memoize(version="v" * 50)(long).cache_key()
    assert len(key[0]) < 200
    assert len(function.cache_key("x" * 10**6)[2][1]) == 16


def test_class_of_the_program_has_the_name_of_its_file(tmp_path: Path) -> None:
    program = tmp_path / "shapes.py"
    program.write_text(
        "import coshelf\nshelf = coshelf.open('memory:')\n@shelf.memoize\ndef area(x): ...\n"
        "if __name__ == '__main__':\n    import shapes\n    print(area.cache_key(1) == shapes.area.cache_key(1))\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, check=True, env=environment())
    assert done.stdout == b"True\n"


def test_paths_and_members_are_themselves_and_not_their_texts() -> None:
    assert key_of(pathlib.PurePosixPath("a")) != key_of("a")
    assert key_of(pathlib.PosixPath("a")) == key_of(pathlib.PurePosixPath("a"))
    assert key_of(Colour.RED) != key_of(1)
    assert key_of(Point(1, [2])) == key_of(Point(1.0, [2])) != key_of(Point(1, [3]))


def test_mutable_default_is_taken_at_each_call() -> None:
    default: list[int] = []

    @shelf.memoize
    def with_default(value: list[int] = default) -> None: ...

    before = with_default.cache_key()
    default.append(1)
    assert with_default.cache_key() != before
    assert with_default.cache_key() == with_default.cache_key([1])
