"""Index: a dict in a directory, in the order in which keys came, for all processes."""

from __future__ import annotations

import collections
import copy
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coshelf.diskcache import Cache, Index, JSONDisk


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return str(tmp_path / "index")


@pytest.fixture
def index(directory: str) -> Index:
    return Index(directory)


def test_it_is_a_dict_in_the_order_in_which_keys_came(index: Index) -> None:
    index["b"] = 1
    index["a"] = 2
    index[3] = None
    index["b"] = 4
    assert list(index) == ["b", "a", 3]
    assert list(reversed(index)) == [3, "a", "b"]
    assert (index["b"], index[3], len(index), "a" in index, "z" in index) == (4, None, 3, True, False)
    assert isinstance(index, collections.abc.MutableMapping)
    del index["a"]
    index["a"] = 5
    assert dict(index) == {"b": 4, 3: None, "a": 5}
    assert list(index) == ["b", 3, "a"]


@pytest.mark.parametrize(
    "call", [lambda index: index["z"], lambda index: index.pop("z"), lambda index: index.__delitem__("z")]
)
def test_a_missing_key_is_a_key_error(index: Index, call: Callable[[Index], Any]) -> None:
    with pytest.raises(KeyError, match=r"^'z'$"):
        call(index)


def test_get_and_pop_have_defaults(index: Index) -> None:
    index["a"] = 1
    assert (index.get("a"), index.get("z"), index.get("z", 0)) == (1, None, 0)
    assert (index.pop("a"), index.pop("a", None), index.pop("a", default=0), len(index)) == (1, None, 0, 0)


def test_popitem_and_peekitem_take_either_end(index: Index) -> None:
    index.update(a=1, b=2, c=3, d=4)
    assert (index.peekitem(), index.peekitem(last=False), len(index)) == (("d", 4), ("a", 1), 4)
    assert (index.popitem(), index.popitem(last=True), index.popitem(last=False)) == (("d", 4), ("c", 3), ("a", 1))
    assert dict(index) == {"b": 2}


@pytest.mark.parametrize("call", [Index.popitem, Index.peekitem])
@pytest.mark.parametrize("last", [True, False])
def test_an_empty_index_raises_key_error(index: Index, call: Any, last: bool) -> None:
    with pytest.raises(KeyError, match=r"^'dictionary is empty'$"):
        call(index, last)


def test_setdefault_stores_a_missing_key(index: Index) -> None:
    assert (index.setdefault("a", 0), index.setdefault("a", 1), index.setdefault("b")) == (0, 0, None)
    assert dict(index) == {"a": 0, "b": None}


def test_update_takes_mappings_pairs_and_keywords(index: Index) -> None:
    index.update({"a": 1})
    index.update([("b", 2)], c=3)
    index.update(((key, 4) for key in "d"), e=5)
    index.update()
    index.update(Index(None, f=6))
    assert list(index.items()) == [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5), ("f", 6)]


def test_an_update_is_stored_wholly_or_not_at_all(index: Index) -> None:
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        index.update({"a": 1, "b": lambda: None})
    with pytest.raises((TypeError, ValueError)):
        index.update([("a", 1), 5])
    assert dict(index) == {}


def test_pairs_of_a_generator_are_stored_as_it_yields(directory: str, index: Index) -> None:
    other = Index(directory)
    seen = []

    def pairs() -> Iterator[tuple[str, int]]:
        for key in "ab":
            yield key, 1
            seen.append(list(other))

    index.update(pairs())
    assert seen == [["a"], ["a", "b"]]


def test_views_are_those_of_a_dict(index: Index) -> None:
    index.update(a=1, b=2)
    keys, values, items = index.keys(), index.values(), index.items()
    index["c"] = 3
    assert (list(keys), list(values), list(items)) == (["a", "b", "c"], [1, 2, 3], [("a", 1), ("b", 2), ("c", 3)])
    assert keys & {"a", "z"} == {"a"}
    assert (2 in values, 9 in values, ("a", 1) in items, ("a", 2) in items, "a" in keys) == (
        True,
        False,
        True,
        False,
        True,
    )
    assert (len(keys), len(values), len(items)) == (3, 3, 3)
    assert repr(keys) == f"KeysView({index!r})"


def test_views_skip_what_goes_meanwhile(index: Index) -> None:
    index.update(a=1, b=2, c=3)
    items, values = iter(index.items()), iter(index.values())
    assert (next(items), next(values)) == (("a", 1), 1)
    del index["b"]
    assert (list(items), list(values)) == ([("c", 3)], [3])


def test_keys_that_come_while_iterating_are_not_seen(index: Index) -> None:
    index.update(a=1, b=2)
    iterator = iter(index)
    index["c"] = 3
    assert list(iterator) == ["a", "b"]


def test_clear_removes_all_and_returns_nothing(index: Index) -> None:
    index.update(a=1, b=2)
    assert index.clear() is None  # type: ignore[func-returns-value]
    assert (len(index), list(index)) == (0, [])


def test_push_and_pull_are_queues_beside_the_other_keys(index: Index) -> None:
    index["a"] = 1
    assert (index.push("x"), index.push("y"), index.push("w", side="front")) == (
        500000000000000,
        500000000000001,
        499999999999999,
    )
    assert index.push("z", prefix="q") == "q-500000000000000"
    assert index[500000000000001] == "y"
    assert (index.pull(), index.pull(side="back")) == ((499999999999999, "w"), (500000000000001, "y"))
    assert (index.pull("q"), index.pull("q"), index.pull("q", default="none")) == (
        ("q-500000000000000", "z"),
        (None, None),
        "none",
    )
    assert dict(index) == {"a": 1, 500000000000000: "x"}


def test_the_first_argument_may_be_the_directory(directory: str) -> None:
    assert dict(Index(directory, {"a": 1}, b=2)) == {"a": 1, "b": 2}
    assert dict(Index(directory)) == {"a": 1, "b": 2}
    assert dict(Index(directory, [("c", 3)])) == {"a": 1, "b": 2, "c": 3}
    assert dict(Index(None, {"a": 1})) == {"a": 1}
    assert dict(Index({"a": 1})) == {"a": 1}
    assert dict(Index(a=1)) == {"a": 1}
    assert len(Index()) == 0


def test_a_path_is_taken_for_data(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="not iterable"):
        Index(tmp_path)


def test_it_has_a_cache_that_evicts_nothing(directory: str, index: Index) -> None:
    assert isinstance(index.cache, Cache)
    assert (index.directory, index.cache.directory, index.cache.eviction_policy) == (directory, directory, "none")


def test_fromcache_takes_a_cache_as_it_is(directory: str) -> None:
    cache = Cache(directory, eviction_policy="least-recently-used")
    index = Index.fromcache(cache, {"a": 1}, b=2)
    assert index.cache is cache
    assert (dict(index), cache.eviction_policy) == ({"a": 1, "b": 2}, "least-recently-used")

    class Users(Index):
        pass

    assert type(Users.fromcache(cache)) is Users


def test_it_is_equal_to_mappings(index: Index) -> None:
    pairs = [("a", 1), ("b", 2), ("c", 3)]
    index.update(pairs)
    assert index == dict(reversed(pairs))
    assert dict(reversed(pairs)) == index
    assert index == collections.OrderedDict(pairs)
    assert index == Index(None, pairs)
    assert not index != Index(None, pairs)  # noqa: SIM202


def test_order_counts_for_indexes_and_ordered_dicts(index: Index) -> None:
    pairs = [("a", 1), ("b", 2)]
    index.update(pairs)
    assert index != collections.OrderedDict(reversed(pairs))
    assert index != Index(None, reversed(pairs))
    assert not index == Index(None, reversed(pairs))  # noqa: SIM201


@pytest.mark.parametrize("other", [{}, {"a": 1}, {"a": 1, "b": 3}, {"a": 1, "z": 2}, 5, None, "ab", ["a", "b"]])
def test_it_is_unequal_to_all_else(index: Index, other: Any) -> None:
    index.update(a=1, b=2)
    assert index != other
    assert not index == other  # noqa: SIM201


def test_it_cannot_be_hashed_or_joined(index: Index) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(index)
    with pytest.raises(TypeError):
        index | {}  # type: ignore[operator]


def test_repr_names_the_directory(directory: str, index: Index) -> None:
    assert repr(index) == f"Index({directory!r})"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_carries_directory_and_disk(directory: str, protocol: int) -> None:
    index = Index.fromcache(Cache(directory, disk=JSONDisk))
    for other in (pickle.loads(pickle.dumps(index, protocol)), copy.copy(index)):
        assert (other.directory, type(other.cache.disk)) == (directory, JSONDisk)
        other["a"] = [1, {"b": 2}]
        assert index.pop("a") == [1, {"b": 2}]


def test_its_directory_can_be_removed_and_made_again_when_nobody_uses_it(directory: str) -> None:
    for value in range(3):
        index = Index(directory, a=value)
        assert dict(index) == {"a": value}
        del index
        shutil.rmtree(directory)


def test_a_fork_shares_it(index: Index) -> None:
    index["a"] = 1
    child = os.fork()
    if child == 0:
        index["b"] = index["a"] + 1
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert dict(index) == {"a": 1, "b": 2}


def test_memoize_keeps_results(index: Index) -> None:
    calls = []

    @index.memoize(name="square", typed=True, ignore={1})
    def square(number: float, logger: object) -> float:
        calls.append(number)
        return number * number

    assert [square(3, None), square(3, "x"), square(3.0, None)] == [9, 9, 9.0]
    assert calls == [3, 3.0]
    assert index[square.__cache_key__(3, None)] == 9
    assert square.__wrapped__(5, None) == 25
    with pytest.raises(TypeError, match=r"^name cannot be callable$"):
        index.memoize(lambda: None)  # type: ignore[arg-type]


def test_a_transaction_is_stored_wholly_or_not_at_all(index: Index) -> None:
    big = b"x" * 40_000
    index.update(a=big, b=big)
    with pytest.raises(ZeroDivisionError), index.transact():
        index["a"] = big * 2
        index.popitem()
        index.clear()
        with index.transact():
            index["c"] = big
        raise ZeroDivisionError
    assert dict(index) == {"a": big, "b": big}
    assert index.cache.check() == []


_keys = st.sampled_from(["a", "b", 1, (1, "a")])
_steps = st.one_of(
    st.tuples(st.sampled_from(["__setitem__", "setdefault"]), _keys, st.integers(0, 9)),
    st.tuples(st.sampled_from(["__getitem__", "__delitem__", "pop", "get", "__contains__"]), _keys),
    st.tuples(st.just("popitem"), st.booleans()),
    st.tuples(st.just("update"), st.lists(st.tuples(_keys, st.integers(0, 9)), max_size=3)),
    st.tuples(st.just("clear")),
)


@settings(max_examples=20)
@given(steps=st.lists(_steps, max_size=25))
def test_it_does_what_an_ordered_dict_does(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    model: collections.OrderedDict[Any, int] = collections.OrderedDict()
    with Cache(tmp_path_factory.mktemp("model"), eviction_policy="none") as cache:
        index = Index.fromcache(cache)
        for name, *arguments in steps:
            assert _outcome(index, name, arguments) == _outcome(model, name, arguments)
            assert list(index.items()) == list(model.items())
            assert len(index) == len(model)
        assert index == model


def _outcome(mapping: Any, name: str, arguments: list[Any]) -> Any:
    try:
        return getattr(mapping, name)(*arguments)
    except KeyError:
        return KeyError
