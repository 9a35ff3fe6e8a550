"""Deques: the same results and exceptions as those of the standard library."""

from __future__ import annotations

import collections
import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import coshelf
from coshelf.contract import DEQUES
from coshelf.errors import InvalidKey, ShelfClosed, UnwritableValue

Shelf = coshelf.Shelf[Any, Any]
LONG = 60.0

VALUES = st.one_of(st.integers(0, 3), st.just("x" * 5000), st.lists(st.integers(0, 2), max_size=2))
INDEXES = st.integers(-5, 5)
MANY = st.lists(VALUES, max_size=4)


def _in_place_add(target: Any, values: Any) -> None:
    target += values


def _in_place_times(target: Any, count: int) -> None:
    target *= count


STEPS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "append": (lambda d, x: d.append(x), (VALUES,)),
    "appendleft": (lambda d, x: d.appendleft(x), (VALUES,)),
    "pop": (lambda d: d.pop(), ()),
    "popleft": (lambda d: d.popleft(), ()),
    "extend": (lambda d, xs: d.extend(xs), (MANY,)),
    "extendleft": (lambda d, xs: d.extendleft(xs), (MANY,)),
    "+=": (_in_place_add, (MANY,)),
    "*=": (_in_place_times, (st.integers(-1, 2),)),
    "rotate": (lambda d, n: d.rotate(n), (INDEXES,)),
    "reverse": (lambda d: d.reverse(), ()),
    "insert": (lambda d, i, x: d.insert(i, x), (INDEXES, VALUES)),
    "remove": (lambda d, x: d.remove(x), (VALUES,)),
    "index": (lambda d, x, i, j: d.index(x, i, j), (VALUES, INDEXES, INDEXES)),
    "count": (lambda d, x: d.count(x), (VALUES,)),
    "get": (lambda d, i: d[i], (INDEXES,)),
    "set": (lambda d, i, x: d.__setitem__(i, x), (INDEXES, VALUES)),
    "del": (lambda d, i: d.__delitem__(i), (INDEXES,)),
    "in": (lambda d, x: x in d, (VALUES,)),
    "len": (len, ()),
    "reversed": (lambda d: list(reversed(d)), ()),
    "copy": (lambda d: (d.copy(), copy.copy(d).maxlen), ()),
    "+": (lambda d, xs: d + collections.deque(xs), (MANY,)),
    "*": (lambda d, n: (d * n, n * d), (st.integers(-1, 2),)),
    "==": (lambda d, xs: (d == collections.deque(xs), collections.deque(xs) != d, d == xs), (MANY,)),
    "<": (lambda d, xs: (d < collections.deque(xs), d >= collections.deque(xs)), (st.lists(st.integers(0, 3)),)),
    "clear": (lambda d: d.clear(), ()),
}
PLANS = st.lists(
    st.sampled_from(sorted(STEPS)).flatmap(lambda name: st.tuples(st.just(name), st.tuples(*STEPS[name][1]))),
    max_size=12,
)


def result(step: Callable[..., Any], target: Any, arguments: tuple[Any, ...]) -> tuple[object, ...]:
    try:
        return "returned", step(target, *arguments)
    except Exception as error:
        return type(error), str(error)


@settings(max_examples=60, deadline=None)
@given(plan=PLANS, maxlen=st.sampled_from([None, None, 0, 1, 3]), inside=st.booleans())
@pytest.mark.parametrize("target", ["memory", "mapping"])
def test_results_and_exceptions_are_those_of_the_standard_library(
    target: str, plan: list[tuple[str, tuple[Any, ...]]], maxlen: int | None, inside: bool
) -> None:
    with coshelf.open("memory:" if target == "memory" else {}) as shelf:
        mine, theirs = shelf.deque("d", maxlen), collections.deque[Any]([], maxlen)

        def run() -> None:
            for name, arguments in plan:
                step = STEPS[name][0]
                assert result(step, mine, arguments) == result(step, theirs, arguments), (name, arguments)
                assert list(mine) == list(theirs), (name, arguments)

        if inside:
            with shelf.transaction():
                run()
        else:
            run()
        assert list(mine) == list(theirs)
        mine.clear()
        assert list(shelf.engine_for("test").scan(*DEQUES)) == []


def test_every_method_of_the_standard_library_exists(shelf: Shelf) -> None:
    missing = {name for name in dir(collections.deque) if not hasattr(shelf.deque("d"), name)}
    assert missing - {"__class_getitem__", "__getstate__"} == set()


def test_each_step_does_the_same_on_every_engine(shelf: Shelf) -> None:
    mine, theirs = shelf.deque("d", 4), collections.deque[Any]([], 4)
    for target in (mine, theirs):
        target.extend(["a", "b" * 9000, ["c"]])
        target.appendleft(0)
        target.rotate(1)
        target.append("b" * 9000)
        target.reverse()
        target[1] = "changed"
        del target[0]
        target.insert(1, "inserted")
        target.remove("changed")
    assert list(mine) == list(theirs)
    assert (mine == theirs, mine.pop(), mine.popleft()) == (True, theirs.pop(), theirs.popleft())


def test_an_iteration_shows_one_instant(shelf: Shelf) -> None:
    recent = shelf.deque("recent")
    recent.extend(range(5))
    items = iter(recent)
    recent.clear()
    assert list(items) == [0, 1, 2, 3, 4]


def test_steps_of_many_threads_are_atomic(shelf: Shelf) -> None:
    recent = shelf.deque("recent")

    def work(number: int) -> None:
        mine = shelf.deque("recent")
        for turn in range(15):
            mine.append((number, turn))
            mine.rotate(1)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert sorted(recent) == [(number, turn) for number in range(4) for turn in range(15)]


def test_impossible_arguments_are_refused_and_nothing_changes(shelf: Shelf) -> None:
    recent = shelf.deque("recent")
    recent.extend("ab")
    refused: list[tuple[type[Exception], Any]] = [
        (TypeError, lambda: shelf.deque(b"x")),  # type: ignore[arg-type]
        (ValueError, lambda: shelf.deque("")),
        (InvalidKey, lambda: shelf.deque("x" * 300)),
        (ValueError, lambda: shelf.deque("a", -1)),
        (TypeError, lambda: shelf.deque("a", "1")),  # type: ignore[arg-type]
        (UnwritableValue, lambda: recent.append(lambda: None)),
        (UnwritableValue, lambda: recent.extend([1, lambda: None])),
        (TypeError, lambda: recent.extend(3)),  # type: ignore[arg-type]
        (TypeError, lambda: recent["x"]),  # type: ignore[index]
        (TypeError, lambda: hash(recent)),
        (TypeError, lambda: recent < ["a"]),  # type: ignore[operator]
    ]
    for error, call in refused:
        with pytest.raises(error):
            call()
    assert list(recent) == ["a", "b"]


def test_names_are_separate_and_belong_to_the_namespace(shelf: Shelf) -> None:
    shelf.deque("a").append(1)
    shelf.queue("a").put(2)
    shelf.sub("s").deque("größe\0").append(3)
    assert (list(shelf.deque("a")), list(shelf.deque("s/größe\0")), list(shelf.sub("s").deque("a"))) == ([1], [3], [])


def test_a_closed_shelf_refuses_its_deques(target: Any) -> None:
    shelf = coshelf.open(target)
    recent = shelf.deque("recent")
    shelf.close()
    for call in (lambda: shelf.deque("recent"), lambda: recent.append(1), recent.pop, lambda: len(recent)):
        with pytest.raises(ShelfClosed):
            call()
