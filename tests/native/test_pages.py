"""The items of pages of rows are the same in C and in Python: values, order, errors, and where they end."""

from __future__ import annotations

import datetime as dt
import gc
import pickle
import random
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from plain_values import a_key, a_value, mutated

from coshelf import keys, records
from coshelf.keys import FOREIGN
from coshelf.native import behind
from coshelf.trust.gate import Gate
from coshelf.values.pickled import PickleCodec
from coshelf.values.pickles import LOADS, Pickles

Row = tuple[bytes, bytes]


def row_of(key: Any, value: Any, protocol: int = 5) -> Row:
    encoded, body = keys.encode(key), pickle.dumps(value, protocol)
    body = body if body[0] == records.PICKLE else b"\x01" + body
    return encoded, records.seal(body, records.checksum(encoded, body), 1)


def sealed(encoded: bytes, body: bytes) -> Row:
    return encoded, records.seal(body, records.checksum(encoded, body), 1)


def a_row(seed: int) -> Row:
    """A row, which may be damaged, hostile, or of another kind than most."""
    chance = random.Random(f"row {seed}")
    encoded, record = row_of(a_key(seed), a_value(seed, shared=bool(seed % 2)), seed % 6)
    kind = chance.randrange(12)
    if kind == 0:
        return encoded, mutated(record, seed)
    if kind == 1:
        return mutated(encoded, seed), record
    if kind == 2:
        return sealed(encoded, mutated(record[: -records.TRAILER], seed))
    if kind == 3:
        return sealed(mutated(encoded, seed), record[: -records.TRAILER])
    if kind == 4:
        return sealed(encoded, chance.choice((b"", b"\x80", b"\x02", b"\x02\x28", b"\x07", bytes(30))))
    if kind == 5:
        return row_of(a_key(seed), dt.date(2026, 11, 1 + seed % 28))
    if kind == 6:
        return encoded, record[: chance.randrange(len(record))]
    if kind == 7:
        return row_of(a_key(seed), bytes(70_000) if seed % 2 else print)
    return encoded, record


def outcomes(items: Iterator[tuple[Any, Any]]) -> list[str]:
    """What an iterator gives, and how it ends."""
    found = []
    while True:
        try:
            found.append(repr(next(items)))
        except StopIteration:
            return found
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")


@pytest.fixture(params=["own", "stranger's"])
def codec(request: pytest.FixtureRequest) -> PickleCodec:
    return PickleCodec(Pickles(5, LOADS if request.param == "own" else Gate().loads))


Both = Callable[..., tuple[Iterator[tuple[Any, Any]], Iterator[tuple[Any, Any]]]]


@pytest.fixture
def both(module: ModuleType, codec: PickleCodec) -> Both:
    def make(pages: list[list[Row]], decode: Any = keys.decode) -> Any:
        in_c = module.PageItems(decode, [page.copy() for page in pages], codec.load, behind(codec._unpickle), FOREIGN)
        return in_c, codec._load_pages(decode, [page.copy() for page in pages])

    return make


@pytest.mark.parametrize("count", [1_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_rows_of_any_kind_give_the_same(both: Both, count: int) -> None:
    for seed in range(count):
        row = a_row(seed)
        if b"\x8e" in row[1] or b"\x8d" in row[1] or b"\x96" in row[1]:  # which may ask for exabytes
            continue
        in_c, in_python = both([[row_of("before", 1), row, row_of("after", 2)]])
        assert outcomes(in_c) == outcomes(in_python), seed


def test_pages_of_all_sizes_are_joined_in_order(both: Both) -> None:
    pages = [[row_of((size, place), {"at": [size, place]}) for place in range(size)] for size in (0, 1, 3, 0, 200, 0)]
    in_c, in_python = both(pages)
    expected = [((size, place), {"at": [size, place]}) for size in (1, 3, 200) for place in range(size)]
    assert list(in_c) == list(in_python) == expected


def test_error_ends_the_items(both: Both) -> None:
    encoded, record = row_of("b", 2)
    for items in both([[row_of("a", 1), (encoded, record[:-1] + b"?"), row_of("c", 3)]]):
        found = outcomes(items)
        assert found[0] == "('a', 1)"
        assert found[1].startswith("DamagedRecord: the record for key 'b' is damaged")
        assert len(found) == 2


def test_error_of_the_pages_passes_through(module: ModuleType, codec: PickleCodec) -> None:
    def pages() -> Iterator[list[Row]]:
        yield [row_of("a", 1)]
        raise LookupError("no more pages")

    for items in (
        module.PageItems(keys.decode, pages(), codec.load, behind(codec._unpickle), FOREIGN),
        codec._load_pages(keys.decode, pages()),
    ):
        assert outcomes(items) == ["('a', 1)", "LookupError: no more pages"]


def test_row_is_not_given_out_once_its_page_is_emptied(module: ModuleType, codec: PickleCodec) -> None:
    for make in (
        lambda pages: module.PageItems(keys.decode, pages, codec.load, behind(codec._unpickle), FOREIGN),
        lambda pages: codec._load_pages(keys.decode, pages),
    ):
        page = [row_of(number, number) for number in range(10)]
        items = make([page, [row_of("next", 1)]])
        assert [next(items), next(items)] == [(0, 0), (1, 1)]
        page.clear()
        assert list(items) == [("next", 1)]


def test_foreign_rows_are_left_out_unread(both: Both) -> None:
    def decode(encoded: bytes) -> Any:
        key = keys.decode(encoded)
        return FOREIGN if key == "foreign" else key

    for items in both([[row_of("a", 1), (keys.encode("foreign"), b"damaged"), row_of("b", 2)]], decode):
        assert list(items) == [("a", 1), ("b", 2)]


def test_texts_within_a_value_are_as_separate_as_pickle_makes_them(both: Both) -> None:
    twice = pickle.loads(pickle.dumps([b"once twice".decode(), b"once twice".decode()]))
    once = ["once twice"] * 2
    rows = [row_of(number, (twice, once)[number % 2]) for number in range(10)]
    for items in both([rows]):
        for number, value in items:
            assert (value[0] is value[1]) == (number % 2 == 1)
            assert pickle.dumps(value) == pickle.dumps((twice, once)[number % 2])


def test_texts_of_many_values_share_memory(module: ModuleType, codec: PickleCodec) -> None:
    rows = [row_of(number, {"a common name": number}) for number in range(100)]
    items = module.PageItems(keys.decode, [rows], codec.load, behind(codec._unpickle), FOREIGN)
    assert len({id(key) for _, value in list(items) for key in value}) == 1


def test_items_are_freed_with_what_they_hold(module: ModuleType, codec: PickleCodec) -> None:
    closed = []

    def pages() -> Iterator[list[Row]]:
        try:
            yield [row_of(1, 1), row_of(2, 2)]
        finally:
            closed.append(True)

    items = module.PageItems(keys.decode, pages(), codec.load, behind(codec._unpickle), FOREIGN)
    next(items)
    del items
    assert closed == [True]
    holder: dict[str, Any] = {}
    holder["items"] = module.PageItems(holder.get, pages(), codec.load, behind(codec._unpickle), FOREIGN)
    next(holder["items"])
    del holder
    gc.collect()
    assert closed == [True, True]


def test_rows_that_are_no_rows_are_refused(module: ModuleType, codec: PickleCodec) -> None:
    for row in (None, b"ab", (b"a",), [b"a", b"b"]):
        with pytest.raises(TypeError, match="tuple of key and record"):
            next(module.PageItems(keys.decode, [[row]], codec.load, behind(codec._unpickle), FOREIGN))
    with pytest.raises(TypeError):
        module.PageItems(keys.decode, 5, codec.load, behind(codec._unpickle), FOREIGN)


def test_step_within_a_step_is_refused(both: Both) -> None:
    running: list[Iterator[Any]] = []

    def decode(encoded: bytes) -> Any:
        return next(running[-1])

    for items in both([[row_of("a", 1), row_of("b", 2)]], decode):
        running.append(items)
        with pytest.raises(ValueError, match=r"already executing|in the middle of a step"):
            next(items)
        assert list(items) == []
