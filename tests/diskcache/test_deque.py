"""Deque: a sequence in a directory, as collections.deque, for all processes."""

from __future__ import annotations

import collections
import copy
import operator
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coshelf.diskcache import Cache, Deque, Disk, JSONDisk


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return str(tmp_path / "deque")


@pytest.fixture
def deque(directory: str) -> Deque:
    return Deque(directory=directory)


def test_it_has_the_values_in_the_order_in_which_they_came(deque: Deque) -> None:
    deque.append("b")
    deque.appendleft("a")
    deque.extend(["c", "d"])
    deque.extendleft(["y", "x"])
    deque += ("e",)
    assert list(deque) == ["x", "y", "a", "b", "c", "d", "e"]
    assert list(reversed(deque)) == ["e", "d", "c", "b", "a", "y", "x"]
    assert len(deque) == 7


def test_its_keys_are_those_of_the_queue_of_a_cache(deque: Deque) -> None:
    deque.extend("bc")
    deque.appendleft("a")
    assert list(deque.cache.iterkeys()) == [499999999999999, 500000000000000, 500000000000001]
    assert deque.cache.pull() == (499999999999999, "a")
    assert deque.cache.push("d") == 500000000000002
    assert list(deque) == ["b", "c", "d"]


def test_values_of_every_kind_come_back(deque: Deque) -> None:
    values = [None, True, 1, 2**70, 1.5, "text", b"bytes", ("a", 1), {"k": [1]}, "\r\n" * 20_000, b"x" * 40_000]
    deque.extend(values)
    assert list(deque) == values
    assert [deque.popleft() for _ in values] == values


def test_pop_and_popleft_remove_the_ends(deque: Deque) -> None:
    deque.extend("abc")
    assert (deque.pop(), deque.popleft(), list(deque)) == ("c", "a", ["b"])


def test_peek_and_peekleft_leave_the_ends(deque: Deque) -> None:
    deque.extend("abc")
    assert (deque.peek(), deque.peekleft(), list(deque)) == ("c", "a", ["a", "b", "c"])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (Deque.pop, "pop from an empty deque"),
        (Deque.popleft, "pop from an empty deque"),
        (Deque.peek, "peek from an empty deque"),
        (Deque.peekleft, "peek from an empty deque"),
        (lambda deque: deque[0], "deque index out of range"),
        (lambda deque: deque[-1], "deque index out of range"),
        (lambda deque: operator.setitem(deque, 0, 1), "deque index out of range"),
        (lambda deque: operator.delitem(deque, 0), "deque index out of range"),
    ],
)
def test_an_empty_deque_raises_index_error(deque: Deque, call: Callable[[Deque], Any], text: str) -> None:
    with pytest.raises(IndexError, match=f"^{text}$"):
        call(deque)
    deque.rotate(1)
    deque.reverse()
    assert list(deque) == []


@pytest.mark.parametrize("holes", [False, True])
def test_indexes_count_from_both_ends(deque: Deque, holes: bool) -> None:
    expected = list(range(20))
    deque.extend(expected)
    if holes:
        for index in (3, 11, -5):
            del deque[index], expected[index]
    for index in range(-len(expected), len(expected)):
        assert deque[index] == expected[index]
    for index in range(len(expected)):
        deque[index - len(expected)] = expected[index - len(expected)] = str(index)
    assert list(deque) == expected
    for index in (len(expected), -len(expected) - 1):
        with pytest.raises(IndexError, match="deque index out of range"):
            deque[index]


def test_deleting_by_index_removes_this_value(deque: Deque) -> None:
    deque.extend("abcdef")
    del deque[1], deque[-2], deque[0]
    assert list(deque) == ["c", "d", "f"]


@pytest.mark.parametrize("index", [slice(0, 2), "a", None, 0.5])
def test_an_index_that_is_no_int_is_refused(deque: Deque, index: Any) -> None:
    deque.extend("abc")
    for call in (operator.getitem, operator.delitem):
        with pytest.raises(TypeError):
            call(deque, index)
    assert list(deque) == ["a", "b", "c"]


def test_remove_removes_the_first_equal_value(deque: Deque) -> None:
    deque.extend("abac")
    deque.remove("a")
    assert list(deque) == ["b", "a", "c"]
    with pytest.raises(ValueError, match=r"^deque.remove\(value\): value not in deque$"):
        deque.remove("z")
    assert list(deque) == ["b", "a", "c"]


def test_it_is_a_sequence(deque: Deque) -> None:
    deque.extend("abac")
    assert isinstance(deque, collections.abc.Sequence)
    assert (deque.count("a"), deque.count("z"), deque.index("c"), "b" in deque, "z" in deque) == (2, 0, 3, True, False)
    with pytest.raises(ValueError):
        deque.index("z")


@pytest.mark.parametrize("steps", range(-7, 8))
def test_rotate_is_that_of_collections(deque: Deque, steps: int) -> None:
    model = collections.deque("abcde")
    deque.extend(model)
    deque.rotate(steps)
    model.rotate(steps)
    assert list(deque) == list(model)


def test_rotate_takes_one_step_and_only_an_int(deque: Deque) -> None:
    deque.extend("abc")
    deque.rotate()
    assert list(deque) == ["c", "a", "b"]
    with pytest.raises(TypeError, match=r"^integer argument expected, got float$"):
        deque.rotate(0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", range(5))
def test_reverse_reverses(deque: Deque, length: int) -> None:
    deque.extend(range(length))
    deque.reverse()
    assert list(deque) == list(reversed(range(length)))


def test_clear_removes_all(deque: Deque) -> None:
    deque.extend("abc")
    deque.clear()
    assert (len(deque), list(deque)) == (0, [])


def test_maxlen_drops_at_the_other_end(deque: Deque) -> None:
    assert deque.maxlen == float("inf")
    deque.maxlen = 3
    deque.extend("abcde")
    assert (deque.maxlen, list(deque)) == (3, ["c", "d", "e"])
    deque.append("f")
    deque.appendleft("x")
    assert list(deque) == ["x", "d", "e"]
    deque.extendleft("yz")
    assert list(deque) == ["z", "y", "x"]


def test_a_lower_maxlen_drops_at_the_left(deque: Deque) -> None:
    deque.extend("abcde")
    deque.maxlen = 2
    assert list(deque) == ["d", "e"]
    deque.maxlen = 0
    deque.append("f")
    assert list(deque) == []


def test_a_maxlen_that_is_no_number_changes_nothing(deque: Deque) -> None:
    deque.extend("abc")
    with pytest.raises(TypeError):
        deque.maxlen = "2"  # type: ignore[assignment]
    assert (deque.maxlen, list(deque)) == (float("inf"), ["a", "b", "c"])


def test_opening_a_longer_deque_with_a_maxlen_drops_one_value_for_each_that_comes(directory: str) -> None:
    Deque("abcde", directory)
    deque = Deque(directory=directory, maxlen=2)
    assert list(deque) == ["a", "b", "c", "d", "e"]
    deque.append("f")
    assert list(deque) == ["b", "c", "d", "e", "f"]


def test_an_iterable_is_appended_each_time_the_directory_is_opened(directory: str) -> None:
    assert list(Deque("ab", directory)) == ["a", "b"]
    assert list(Deque("ab", directory)) == ["a", "b", "a", "b"]
    assert list(Deque(directory=directory)) == ["a", "b", "a", "b"]


def test_a_deque_can_be_extended_by_itself(deque: Deque) -> None:
    deque.extend("ab")
    deque.extend(deque)
    deque.extendleft(deque)
    assert list(deque) == list("babaabab")


def test_a_collection_is_appended_wholly_or_not_at_all(deque: Deque) -> None:
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        deque.extend(["a", lambda: None])
    assert list(deque) == []


def test_a_generator_is_appended_as_it_yields(directory: str, deque: Deque) -> None:
    other = Deque(directory=directory)
    seen = []

    def values() -> Iterator[int]:
        for number in range(3):
            yield number
            seen.append(list(other))

    deque.extend(values())
    assert seen == [[0], [0, 1], [0, 1, 2]]


def test_a_value_that_comes_while_iterating_is_seen(deque: Deque) -> None:
    deque.extend("ab")
    iterator = iter(deque)
    assert next(iterator) == "a"
    deque.append("c")
    assert list(iterator)[:1] == ["b"]


def test_values_that_go_while_iterating_are_skipped(deque: Deque) -> None:
    deque.extend(range(300))
    seen = []
    for value in deque:
        seen.append(value)
        if value == 0:
            del deque[1]
    assert seen == [0, *range(2, 300)]
    backwards = reversed(deque)
    assert next(backwards) == 299
    deque.clear()
    assert list(backwards) == []


@pytest.mark.parametrize("kind", [list, tuple, collections.deque])
def test_it_compares_with_any_sequence_item_by_item(deque: Deque, kind: Any) -> None:
    deque.extend("abc")
    for other in ("", "a", "ab", "abc", "abd", "abcd", "b"):
        for relation in (operator.eq, operator.ne, operator.lt, operator.gt, operator.le, operator.ge):
            assert relation(deque, kind(other)) is relation(list("abc"), list(other))


def test_it_is_unequal_to_what_is_no_sequence(deque: Deque) -> None:
    assert deque != {}
    assert not deque == 5  # noqa: SIM201
    with pytest.raises(TypeError):
        deque < {"a"}  # type: ignore[operator]
    with pytest.raises(TypeError, match="unhashable"):
        hash(deque)


def test_repr_names_the_directory(directory: str, deque: Deque) -> None:
    assert repr(deque) == f"Deque(directory={directory!r})"

    class Jobs(Deque):
        pass

    assert repr(Jobs(directory=directory)) == f"Jobs(directory={directory!r})"


def test_it_has_a_cache_that_evicts_nothing(directory: str, deque: Deque) -> None:
    assert isinstance(deque.cache, Cache)
    assert (deque.directory, deque.cache.directory, deque.cache.eviction_policy) == (directory, directory, "none")


def test_without_a_directory_it_gets_one_of_its_own() -> None:
    one, two = Deque(), Deque("a")
    assert one.directory != two.directory
    assert (list(one), list(two)) == ([], ["a"])


def test_fromcache_takes_a_cache_as_it_is(directory: str) -> None:
    cache = Cache(directory, eviction_policy="least-recently-used")
    deque = Deque.fromcache(cache, "abcd", maxlen=3)
    assert deque.cache is cache
    assert (list(deque), deque.maxlen, cache.eviction_policy) == (["b", "c", "d"], 3, "least-recently-used")


def test_fromcache_makes_an_instance_of_a_subclass(directory: str) -> None:
    class Jobs(Deque):
        pass

    assert type(Jobs.fromcache(Cache(directory))) is Jobs


def test_copy_shows_the_same_values(directory: str) -> None:
    deque = Deque.fromcache(Cache(directory, disk=JSONDisk), "abc", maxlen=4)
    assert deque.copy().cache is not deque.cache
    for other in (deque.copy(), copy.copy(deque), copy.deepcopy(deque)):
        assert type(other) is Deque
        assert (other.directory, other.maxlen, other.cache.disk.__class__) == (directory, 4, JSONDisk)
        other.append("d")
        assert deque.pop() == "d"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_carries_directory_maxlen_and_disk(directory: str, protocol: int) -> None:
    deque = Deque.fromcache(Cache(directory, disk=JSONDisk), maxlen=3)
    other = pickle.loads(pickle.dumps(deque, protocol))
    assert (other.directory, other.maxlen, type(other.cache.disk)) == (directory, 3, JSONDisk)
    other.extend([["a"], "b"])
    assert list(deque) == [["a"], "b"]


def test_a_pickle_appends_nothing(directory: str) -> None:
    deque = Deque("abc", directory)
    assert list(pickle.loads(pickle.dumps(deque))) == ["a", "b", "c"]


class Reversed(Disk):
    def store(self, value: Any, read: bool, key: Any = None) -> Any:
        return super().store(value[::-1], read, key)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        return super().fetch(mode, filename, value, read)[::-1]


def test_its_disk_stores_the_values(directory: str) -> None:
    deque = Deque.fromcache(Cache(directory, disk=Reversed), ["ab", "cd"])
    assert list(deque) == ["ab", "cd"]
    deque.reverse()
    deque.rotate()
    assert list(deque) == ["ab", "cd"]
    deque.cache.close()
    assert list(Deque(directory=directory)) == ["ba", "dc"]


def test_a_transaction_is_stored_wholly_or_not_at_all(deque: Deque) -> None:
    deque.extend("abc")
    with pytest.raises(KeyError), deque.transact():
        deque.append(deque.popleft())
        with deque.transact():
            deque.append("d" * 40_000)
            deque[0] = "x" * 40_000
        raise KeyError
    assert list(deque) == ["a", "b", "c"]
    with deque.transact():
        deque.append(deque.popleft())
    assert list(deque) == ["b", "c", "a"]
    assert deque.cache.check() == []


@pytest.mark.parametrize("change", ["reverse", "rotate", "clear", "extend", "set", "delete", "remove", "shorten"])
def test_a_change_in_a_block_that_raises_destroys_no_large_value(deque: Deque, change: str) -> None:
    values = [bytes([number]) * 40_000 for number in range(4)]
    deque.extend(values)
    changes: dict[str, Callable[[], Any]] = {
        "reverse": deque.reverse,
        "rotate": deque.rotate,
        "clear": deque.clear,
        "extend": lambda: deque.extend(values),
        "set": lambda: operator.setitem(deque, 1, b""),
        "delete": lambda: operator.delitem(deque, 1),
        "remove": lambda: deque.remove(values[2]),
        "shorten": lambda: setattr(deque, "maxlen", 1),
    }
    with pytest.raises(KeyError), deque.transact():
        changes[change]()
        raise KeyError
    assert list(deque) == values
    assert deque.cache.check() == []


_steps = st.one_of(
    st.tuples(st.sampled_from(["append", "appendleft"]), st.integers(0, 3)),
    st.tuples(st.sampled_from(["extend", "extendleft"]), st.lists(st.integers(0, 3), max_size=4)),
    st.tuples(st.sampled_from(["pop", "popleft", "reverse", "clear"])),
    st.tuples(st.just("rotate"), st.integers(-5, 5)),
    st.tuples(st.just("remove"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["__getitem__", "__delitem__"]), st.integers(-6, 6)),
    st.tuples(st.just("__setitem__"), st.integers(-6, 6), st.integers(4, 9)),
)


@settings(max_examples=20)
@given(steps=st.lists(_steps, max_size=25), maxlen=st.sampled_from([None, 3, 6]))
def test_it_does_what_collections_deque_does(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]], maxlen: int | None
) -> None:
    model: collections.deque[int] = collections.deque(maxlen=maxlen)
    with Cache(tmp_path_factory.mktemp("model"), eviction_policy="none") as cache:
        deque = Deque.fromcache(cache, maxlen=maxlen)
        for name, *arguments in steps:
            assert _outcome(deque, name, arguments) == _outcome(model, name, arguments)
            assert list(deque) == list(model)
            assert len(deque) == len(model)


def _outcome(sequence: Any, name: str, arguments: list[Any]) -> Any:
    try:
        return getattr(sequence, name)(*arguments)
    except (IndexError, ValueError) as error:
        return type(error)
