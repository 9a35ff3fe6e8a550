"""The keys of a namespace are the same in C and in Python, and its values are read as quickly as a whole shelf's."""

from __future__ import annotations

import collections
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from plain_values import a_key, mutated

import coshelf
from coshelf.mapping.namespace import Namespace


def outcome(function: Any, argument: Any) -> tuple[type, str]:
    try:
        result = function(argument)
    except Exception as error:
        return type(error), str(error)
    return type(result), repr(result)


@pytest.mark.parametrize("prefix", ["a/", "d\xe9ep/er/", "zero\0/"])
@pytest.mark.parametrize("count", [1_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_keys_are_encoded_and_decoded_as_in_python(module: ModuleType, prefix: str, count: int) -> None:
    namespace = Namespace(prefix)
    within_a_tuple = len(namespace._tuple)
    for seed in range(count):
        key = a_key(seed)
        encoded = namespace._encode(key)
        start = namespace._str if encoded.startswith(namespace._str) else namespace._tuple
        for function, fallback, argument in (
            (module.either_under("encode_key", namespace.start, namespace._encode), namespace._encode, key),
            (module.either_under("decode_key", namespace.start, namespace._decode), namespace._decode, encoded),
            (
                module.either_under("decode_key", namespace.start, namespace._decode),
                namespace._decode,
                start + (mutated(encoded[len(start) :], seed) if len(encoded) > within_a_tuple else b"\xff"),
            ),
        ):
            assert outcome(function, argument) == outcome(fallback, argument), (key, argument)


def test_keys_that_are_none_are_refused_in_the_same_words() -> None:
    namespace = Namespace("a/")
    for key in ([], {}, object, float("nan"), (1, []), 2j):
        assert outcome(namespace.encode, key) == outcome(namespace._encode, key)


def test_other_functions_are_refused(module: ModuleType) -> None:
    with pytest.raises(ValueError, match="unknown function dumps"):
        module.either_under("dumps", b"a", len)
    with pytest.raises(TypeError):
        module.either_under("encode_key", "a", len)


def test_sub_is_read_without_lmdb(module: ModuleType, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "s.shelf") as shelf:
        sub = shelf.sub("users").sub("of \xe9")
        values = {"ann": 1, "": 2, "\ud800": 3, 5: 4, ("x", 1): 5, b"b": 6, "later": {"a": [1, 2]}}
        sub.update(values)
        shelf.sync()
        assert {key: sub[key] for key in values} == values
        engine, start = sub._handle.engine, sub._namespace.start
        assert engine.quick("later", start) == {"a": [1, 2]}
        assert engine.quick("users/of \xe9/later", None) == {"a": [1, 2]}
        for key in ("later", "users/later", 5, ("x", 1), b"b", []):
            assert engine.quick(key, start if key != "later" else None) is NotImplemented
        with pytest.raises(TypeError):
            engine.quick("later", "text")  # type: ignore[arg-type]
        with pytest.raises(KeyError):
            sub["bob"]
        assert sub[type("Text", (str,), {})("ann")] == 1


def test_items_of_a_sub_leave_out_longer_tuples(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "s.shelf") as shelf:
        shelf.update({("a/", 1): "own", ("a/", 1, 2): "longer", ("a/", "t"): "text", "a/b": "own", "b": "other"})
        shelf[("a/", (1, 2))] = collections.Counter("own")
        sub = shelf.sub("a")
        expected = [(1, "own"), ("b", "own"), ((1, 2), collections.Counter("own"))]
        for _ in range(2):
            assert list(sub.items()) == expected
            assert list(sub.items(reverse=True)) == expected[::-1]
            assert list(sub.keys()) == [key for key, _ in expected]
            assert list(reversed(sub.keys())) == [key for key, _ in expected[::-1]]
            assert list(sub.values()) == [value for _, value in expected]
            assert list(sub.items(start=2)) == expected[1:]
            assert sub.get_many([1, "b", (1, 2), "t", 2]) == dict(expected)
            shelf.sync()
