"""What is done in C for many entries at once is what Python does for each."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from plain_values import a_key, a_value

import coshelf
from coshelf import keys, native, records
from coshelf.errors import TransactionInProgress
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
        lambda module: module.put_plain([], 1, 1),
        lambda module: module.put_plain({}, 1),
        lambda module: module.add_puts({}, []),
        lambda module: module.add_puts([], {}),
        lambda module: module.SealedPages({b"a": 1}, 1, 1),
        lambda module: module.SealedPages([], 1, 1),
        lambda module: module.SealedPages({}, "1", 1),
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
        module.SealedPages({b"a": b"b"}, number, 1)
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


@pytest.mark.parametrize("count", COUNTS)
def test_pages_of_sealed_puts_are_those_of_python(module: ModuleType, count: int) -> None:
    for seed in range(count):
        puts, number, most = _some_puts(seed), random.Random(seed).choice([0, 1, 2**64 - 1]), 1 + seed % 7
        rows = records.sealed(sorted(puts.items()), number)
        found = list(module.SealedPages(puts, number, most))
        assert found == [rows[at : at + most] for at in range(0, len(rows), most)], seed


@pytest.mark.parametrize("seed", range(20))
def test_many_puts_are_sorted_as_few_are(module: ModuleType, seed: int) -> None:
    chance = random.Random(seed)
    beginnings = [chance.randbytes(chance.choice([0, 7, 8, 9, 30])) for _ in range(chance.choice([1, 2, 30]))]
    puts = {chance.choice(beginnings) + chance.randbytes(chance.randrange(4)): b"" for _ in range(5_000)}
    assert module.in_order(puts) == sorted(puts.items())


def test_pages_of_sealed_puts_that_are_not_taken_are_freed(module: ModuleType) -> None:
    puts = {bytes([number]): b"body %d" % number for number in range(10)}
    before = [sys.getrefcount(body) for body in puts.values()]
    pages = module.SealedPages(puts, 1, 4)
    next(pages)
    assert [sys.getrefcount(body) for body in puts.values()] == [*before[:4], *(count + 1 for count in before[4:])]
    del pages
    assert [sys.getrefcount(body) for body in puts.values()] == before


@pytest.mark.parametrize("most", [0, -1])
def test_a_page_of_sealed_puts_has_a_row(module: ModuleType, most: int) -> None:
    with pytest.raises(ValueError, match="one row at least"):
        module.SealedPages({}, 1, most)


def test_puts_are_added_as_python_adds_them(module: ModuleType) -> None:
    puts = {b"a": b"1", b"b": b"22"}
    into = {b"a": b"0", b"c": b"3"}
    assert module.add_puts(into, puts) == 2 + 3 + 2 * 200
    assert into == {b"a": b"1", b"b": b"22", b"c": b"3"}
    assert module.add_puts(into, {}) == 0


class _Other(bytes):
    pass


@pytest.mark.parametrize("others", [{b"d": _Other(b"1")}, {_Other(b"d"): b"1"}])
def test_no_puts_are_added_if_some_are_not_plain_bytes(module: ModuleType, others: dict[bytes, bytes]) -> None:
    into: dict[bytes, bytes] = {}
    assert module.add_puts(into, {b"c": b"3", **others}) is None
    assert not into


@pytest.mark.parametrize("count", COUNTS)
def test_single_plain_entries_are_those_that_are_gathered(module: ModuleType, count: int) -> None:
    for seed in range(count):
        key, value = a_key(seed), a_value(seed, shared=bool(seed % 2))
        into: dict[bytes, bytes | None] = {}
        if module.put_plain(into, key, value):
            assert _gathered([(key, value)]) == ([into], ""), seed
        else:
            assert not into


@pytest.mark.parametrize("value", [bytearray(b"x"), object(), 2j, b"x" * (1 << 20)])
def test_other_values_are_left_to_python(module: ModuleType, value: object) -> None:
    into: dict[bytes, bytes | None] = {}
    assert not module.put_plain(into, "key", value)
    assert not module.put_plain(into, object(), 1)
    assert not into


def test_a_transaction_stores_values_of_all_kinds(tmp_path: Path) -> None:
    entries = {"a": 1, "b": Fraction(1, 3), "c": [2], "d": bytearray(b"x"), 5: "e"}
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["old"] = 0
        with shelf.transaction() as transaction:
            for key, value in entries.items():
                transaction[key] = value
            del transaction["old"]
            transaction["f"] = 6
            del transaction["f"]
        assert shelf == entries


def test_a_guarded_entry_is_guarded_from_plain_data(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf, shelf.transaction() as transaction:
        transaction["a"] = [1]
        with transaction.edit("a") as value:
            value.append(2)
            with pytest.raises(TransactionInProgress):
                transaction["a"] = 3
            transaction["b"] = 4
        assert transaction["a"] == [1, 2]
