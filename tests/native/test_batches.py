"""What is done in C for many entries at once is what Python does for each."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from plain_values import a_key, a_value

from coshelf import keys, native, records
from coshelf.mapping import gathering
from coshelf.mapping.namespace import Namespace
from coshelf.values.pickled import PickleCodec
from coshelf.values.pickles import Pickles

COUNTS = [300, pytest.param(30_000, marks=pytest.mark.long)]


@pytest.fixture
def in_python(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, entries are gathered without the module."""
    return lambda: monkeypatch.setattr(native, "in_use", False)


def _some_puts(seed: int) -> dict[bytes, bytes]:
    chance = random.Random(seed)
    beginning = chance.randbytes(chance.choice([0, 0, 3, 8, 20]))
    alphabet = chance.choice([b"\x00\x01", b"\x00\xff", bytes(range(256))])
    found = {}
    for _ in range(chance.choice([0, 1, 2, 5, 40])):
        key = beginning + bytes(chance.choices(alphabet, k=chance.randrange(12)))
        found[key] = chance.randbytes(chance.choice([0, 1, 7, 100]))
    return found


@pytest.mark.parametrize("count", COUNTS)
def test_puts_are_in_the_order_of_their_keys(module: ModuleType, count: int) -> None:
    for seed in range(count):
        puts = _some_puts(seed)
        assert module.in_order(puts) == sorted(puts.items()), seed


@pytest.mark.parametrize("count", COUNTS)
def test_records_are_sealed_as_single_ones_are(module: ModuleType, count: int) -> None:
    for seed in range(count):
        number = random.Random(seed).choice([0, 1, seed, 2**64 - 1])
        rows = list(_some_puts(seed).items())
        expected = [(key, records.seal(body, records.checksum(key, body), number)) for key, body in rows]
        assert module.sealed(rows, number) == expected, seed


def test_large_records_are_sealed_as_small_ones_are(module: ModuleType) -> None:
    body = random.Random(1).randbytes(3 << 20)
    assert module.sealed([(b"key", body)], 7) == [(b"key", records.seal(body, records.checksum(b"key", body), 7))]


@pytest.mark.parametrize(
    "call",
    [
        lambda module: module.in_order({b"a": 1}),
        lambda module: module.in_order({"a": b""}),
        lambda module: module.in_order([]),
        lambda module: module.sealed([(b"a", 1)], 1),
        lambda module: module.sealed([(b"a",)], 1),
        lambda module: module.sealed([b"a"], 1),
        lambda module: module.sealed((), 1),
        lambda module: module.gather({}, [], len, 1),
        lambda module: module.gather([], iter([]), len, 1),
        lambda module: module.gather({}, iter([3]), lambda item: "x", 1),
    ],
)
def test_other_arguments_are_type_errors(module: ModuleType, call: Callable[[ModuleType], object]) -> None:
    with pytest.raises(TypeError):
        call(module)


@pytest.mark.parametrize("number", [-1, 2**64])
def test_numbers_that_no_record_can_have_are_overflows(module: ModuleType, number: int) -> None:
    with pytest.raises(OverflowError):
        module.sealed([(b"a", b"b")], number)
    with pytest.raises(OverflowError):
        records.seal(b"b", 0, number)


def _gathered(items: list[Any]) -> tuple[list[dict[bytes, bytes]], str]:
    """The pieces that were gathered, and the error at their end."""
    codec, iterator, pieces = PickleCodec(Pickles(5)), iter(items), list[dict[bytes, bytes]]()
    try:
        is_left = True
        while is_left:
            pieces.append({})
            is_left = gathering.gather(pieces[-1], iterator, Namespace(), codec)
    except Exception as error:
        return pieces, f"{type(error).__name__}: {error}"
    return pieces, ""


@pytest.mark.parametrize("count", COUNTS)
def test_entries_are_gathered_as_python_gathers_them(
    module: ModuleType, count: int, in_python: Callable[[], None]
) -> None:
    chance = random.Random(count)
    others = [object, memoryview(b"x"), bytearray(b"y"), Namespace, 2 + 3j, b"z" * (1 << 20), bytearray(1 << 20)]
    items: list[Any] = []
    for seed in range(count):
        value = chance.choice(others) if seed % 10 == 0 else a_value(seed, shared=bool(seed % 2))
        items.append((a_key(seed), value) if seed % 3 else [f"group{seed % 50}", value])
    found = _gathered(items)
    in_python()
    assert found == _gathered(items)
    assert len(found[0]) > 1


@pytest.mark.parametrize(
    "wrong", [3, (1,), (1, 2, 3), "abc", (object(), 1), (float("nan"), 1), (1, lambda: 0), ([], 1), None]
)
def test_what_cannot_be_gathered_is_the_same_error(
    module: ModuleType, wrong: Any, in_python: Callable[[], None]
) -> None:
    items = [(1, 1), (2, 2), wrong, (3, 3)]
    found = _gathered(items)
    in_python()
    assert found == _gathered(items)
    assert list(found[0][0]) == [keys.encode(1), keys.encode(2)]
    assert found[1]


def test_errors_of_the_iterator_are_passed_on(module: ModuleType) -> None:
    def entries() -> Iterator[tuple[int, int]]:
        yield 1, 1
        raise RuntimeError("no more")

    into: dict[bytes, bytes] = {}
    with pytest.raises(RuntimeError, match="no more"):
        module.gather(into, entries(), len, 1 << 20)
    assert list(into) == [keys.encode(1)]
