"""Keys of wrong types: TypeErrors that say which types there are, and nothing is stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf

UNHASHABLE: list[Any] = [[], {"a": 1}, {1}, bytearray(b"a"), (1, []), ("a", ({},))]
HASHABLE: list[Any] = [
    *(object(), frozenset(), 1j, range(3), int, math.nan, -math.nan),
    *((1, math.nan), ("a", (object(),)), (1, frozenset())),
]


@pytest.fixture(params=["lmdb", "memory", "mapping"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """An open shelf on each engine."""
    target: Any = {"lmdb": tmp_path / "my.shelf", "memory": "memory:", "mapping": {}}[request.param]
    with coshelf.open(target) as opened:
        opened.update(a=1, b=2)
        yield opened
        assert opened.copy() == {"a": 1, "b": 2}


def edit(shelf: Any, key: Any) -> None:
    with shelf.edit(key, []):
        raise AssertionError("the block must not run")


def write_in_transaction(shelf: Any, key: Any) -> None:
    with shelf.transaction() as t:
        t["a"] = "new"
        t[key] = 1


ALWAYS: dict[str, Callable[[Any, Any], Any]] = {
    "[]": lambda shelf, key: shelf[key],
    "set": lambda shelf, key: shelf.__setitem__(key, 1),
    "del": lambda shelf, key: shelf.__delitem__(key),
    "setdefault": lambda shelf, key: shelf.setdefault(key, 1),
    "update": lambda shelf, key: shelf.update([("new", 1), (key, 1)]),
    "|=": lambda shelf, key: shelf.__ior__([("new", 1), (key, 1)]),
    "edit": edit,
    "modify": lambda shelf, key: shelf.modify(key, lambda old: old, 1),
    "replace": lambda shelf, key: shelf.replace(key, 1, 2),
    "start": lambda shelf, key: shelf.keys(start=key),
    "stop": lambda shelf, key: shelf.items(stop=key),
    "cursor": lambda shelf, key: shelf.cursor().seek(key),
    "wait": lambda shelf, key: shelf.wait(key, 0),
    "transaction": write_in_transaction,
    "transact": lambda shelf, key: shelf.transact(lambda t: t.__setitem__(key, 1)),
    "sub": lambda shelf, key: shelf.sub("x").__setitem__(key, 1),
    "snapshot": lambda shelf, key: shelf.snapshot()[key],
}


@pytest.mark.parametrize("use", ALWAYS)
def test_what_cannot_be_a_key_is_a_type_error(use: str, shelf: Any) -> None:
    for key in (*UNHASHABLE, *HASHABLE):
        with pytest.raises(coshelf.InvalidKey) as caught:
            ALWAYS[use](shelf, key)
        assert isinstance(caught.value, TypeError)
        message = str(caught.value)
        assert "NaN" in message or "str, bytes, int, float, bool, None and tuples" in message


def test_hashable_objects_that_cannot_be_keys_are_not_there(shelf: Any) -> None:
    for key in HASHABLE:
        with shelf.snapshot() as snapshot:
            for mapping in (shelf, snapshot, shelf.sub("x")):
                assert key not in mapping
                assert mapping.get(key) is None
                assert mapping.get(key, "default") == "default"
                assert key not in mapping.keys()  # noqa: SIM118 (the view)
                assert (key, 1) not in mapping.items()
        assert shelf.pop(key, "default") == "default"
        assert shelf.get_many(["a", key]) == {"a": 1}


def test_pop_of_a_hashable_object_that_cannot_be_a_key_is_a_key_error(shelf: Any) -> None:
    for key in HASHABLE:
        with pytest.raises(KeyError):
            shelf.pop(key)
        with shelf.transaction() as t, pytest.raises(KeyError):
            t.pop(key)


def test_unhashable_objects_are_a_type_error_as_in_a_dict(shelf: Any) -> None:
    uses: list[Callable[[Any, Any], Any]] = [
        *(lambda shelf, key: key in shelf, lambda shelf, key: shelf.get(key), lambda shelf, key: shelf.pop(key)),
        *(lambda shelf, key: shelf.get(key, 1), lambda shelf, key: shelf.pop(key, 1)),
        lambda shelf, key: key in shelf.keys(),  # noqa: SIM118 (the view)
    ]
    for key in UNHASHABLE:
        with pytest.raises(TypeError):
            shelf.get_many(["a", key])
        for use in uses:
            with pytest.raises(TypeError):
                use({"a": 1}, key)
            with pytest.raises(TypeError):
                use(shelf, key)


@pytest.mark.parametrize("prefix", [1, 2.5, frozenset(), [], {}, object(), True])
def test_prefix_of_a_wrong_type_is_a_type_error(prefix: Any, shelf: Any) -> None:
    for view in (shelf.keys, shelf.items, shelf.values):
        with pytest.raises(TypeError, match="prefix"):
            view(prefix=prefix)


@pytest.mark.parametrize("glob", [1, b"*", ("a",), object()])
def test_glob_of_a_wrong_type_is_a_type_error(glob: Any, shelf: Any) -> None:
    for view in (shelf.keys, shelf.items, shelf.values):
        with pytest.raises(TypeError, match="glob"):
            view(glob)


def test_bad_glob_is_a_value_error_that_shows_it(shelf: Any) -> None:
    with pytest.raises(ValueError, match=r"\[z-a\]"):
        shelf.keys("x[z-a]")


@pytest.mark.parametrize("name", [1, None, b"x", ("x",), object()])
def test_name_of_a_namespace_is_a_str(name: Any, shelf: Any) -> None:
    with pytest.raises(TypeError, match="namespace is a str"):
        shelf.sub(name)


@pytest.mark.parametrize("name", ["", "/", "//"])
def test_name_of_a_namespace_is_not_empty(name: str, shelf: Any) -> None:
    with pytest.raises(ValueError, match="empty"):
        shelf.sub(name)


def test_tuple_nested_too_deep_is_refused(shelf: Any) -> None:
    key: Any = ()
    for _ in range(200):
        key = (key,)
    for refused in (key, ("a", key)):
        with pytest.raises(coshelf.InvalidKey, match="nested"):
            shelf[refused] = 1
