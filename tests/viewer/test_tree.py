"""Keys are a tree, whatever their types; its rows have numbers; and none of that reads what it need not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import coshelf
from coshelf.contract import Reader
from coshelf.keys import LAST, decode, encode
from coshelf.mapping.living import Living
from coshelf.viewer.background import Background
from coshelf.viewer.keys.addresses import address_of, encoded_of
from coshelf.viewer.keys.branches import ROOT, Branch, branch_at, branches_around, children
from coshelf.viewer.keys.levels import BLOCK, Level, Levels
from coshelf.viewer.keys.measuring import Measure, Measures

KEYS = st.recursive(
    st.text(alphabet="ab/\0\xff\ud800", max_size=6)
    | st.binary(max_size=3)
    | st.integers(-300, 300)
    | st.floats(allow_nan=False)
    | st.none(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)


def reader_of(keys: Any) -> Reader:
    shelf = coshelf.open("memory:")
    shelf.update(dict.fromkeys(keys, 1))
    engine = shelf.engine_for("tests")
    return OfShelf(shelf, engine.cutoff)


class OfShelf(Living):
    """Keeps its shelf open."""

    def __init__(self, shelf: Any, cutoff: Any) -> None:
        super().__init__(shelf.engine_for("tests"), cutoff)
        self.shelf = shelf


def leaves(reader: Reader, branch: Branch) -> Iterator[bytes]:
    for child in children(reader, branch):
        if child.branch is None:
            yield child.key
        else:
            yield from leaves(reader, child.branch)


@given(st.sets(KEYS, max_size=30))
@settings(max_examples=30)
def test_every_key_is_in_the_tree_once_and_in_order(keys: set[Any]) -> None:
    reader = reader_of(keys)
    found = list(leaves(reader, ROOT))
    assert found == [key for page in reader.key_pages(ROOT.start, ROOT.stop) for key in page]
    assert len(found) == len(set(found)) == len({encode(key) for key in keys})


@given(st.sets(KEYS, max_size=30))
@settings(max_examples=30)
def test_every_branch_and_key_has_an_address_of_its_own_and_a_name(keys: set[Any]) -> None:
    reader = reader_of(keys)
    seen: set[str] = set()

    def visit(branch: Branch) -> None:
        assert branch_at(branch.address) == branch
        for child in children(reader, branch):
            kind = "keys" if child.branch is not None else "entry"
            address = f"{kind}/{address_of(child.key)}"
            assert address not in seen
            assert encoded_of(address_of(child.key)) == child.key
            seen.add(address)
            assert child.name(branch)
            if child.branch is not None:
                assert child.branch.parents()[-1] == branch
                visit(child.branch)
            else:
                assert branches_around(child.key)[-1] == branch

    visit(ROOT)


@given(st.sets(KEYS, max_size=12))
@settings(max_examples=30)
def test_list_goes_on_behind_any_row(keys: set[Any]) -> None:
    reader = reader_of(keys)
    expected = list(children(reader, ROOT))
    for number, child in enumerate(expected):
        assert list(children(reader, ROOT, child.behind)) == expected[number + 1 :]


def test_names_are_what_people_call_them() -> None:
    keys = ["soups/leek", "soups//miso", "/etc", ("a", 1, "x"), ("a",), 5, None, b"\xff", "None", "\u202ea/b", "soups/"]
    reader = reader_of(keys)
    tree = {
        child.name(ROOT): [inner.name(child.branch) for inner in children(reader, child.branch)]
        if child.branch
        else None
        for child in children(reader, ROOT)
    }
    assert tree == {
        "None": None,
        "5": None,
        "/": ["etc"],
        "'None'": None,
        "soups/": ["''", "/", "leek"],
        "\\u202ea/": ["b"],
        "b'\\xff'": None,
        "('a',)": None,
        "('a', …)": ["1, …"],
    }


@pytest.mark.parametrize("address", ["!", "a", "AQ", "_w", "MA==", "MGE ", "é", "Ah8A"])
def test_address_that_no_key_has_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="not the address"):
        encoded_of(address)


def test_rows_of_coshelf_itself_have_no_address() -> None:
    for row in (b"\x01codec", b"\x0aqueue", b"\x0f", LAST):
        with pytest.raises(ValueError, match="not the address"):
            encoded_of(address_of(row))


class CountingReader(Reader):
    """Counts the keys that are read."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.read = 0

    def key_pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[bytes]]:
        for page in self._reader.key_pages(start, stop, reverse=reverse):
            self.read += len(page)
            yield page

    def get(self, key):
        return self._reader.get(key)

    def scan(self, start, stop, *, reverse=False, keys_only=False):
        return self._reader.scan(start, stop, reverse=reverse, keys_only=keys_only)

    def count(self, start, stop):
        return self._reader.count(start, stop)

    def snapshot(self):
        return self._reader.snapshot()


def test_branch_is_passed_over_without_reading_all_its_keys() -> None:
    reader = CountingReader(reader_of([f"{name}/{n}" for name in "abc" for n in range(5_000)]))
    assert [child.name(ROOT) for child in children(reader, ROOT)] == ["a/", "b/", "c/"]
    assert reader.read < 3_000


def test_first_block_of_many_keys_reads_few_of_them() -> None:
    reader = CountingReader(reader_of(f"k{n:05}" for n in range(20_000)))
    background = Background()
    levels = Levels(lambda: reader, background)
    background.close()  # nothing is found in the background
    block = levels.block(ROOT, 0)
    assert len(block.rows) == BLOCK
    assert not block.is_complete
    assert reader.read < 3_000


@pytest.mark.parametrize(
    "keys", [[f"k{n:05}" for n in range(20_000)], [f"b{n:04}/{m}" for n in range(450) for m in range(5)]]
)
def test_every_row_is_in_the_block_of_its_number(keys: list[str]) -> None:
    reader = reader_of(keys)
    expected = list(children(reader, ROOT))
    level = Level()
    assert sum(1 for _ in level.fill(reader, ROOT)) >= 1
    assert level.is_complete
    assert level.rows == len(expected)
    assert level.positions == [child.key for child in expected[::BLOCK]]
    background = Background()
    levels = Levels(lambda: reader, background)
    levels.block(ROOT, 1)
    finished = threading.Event()
    background.add(signalling(finished))
    while not levels.block(ROOT, 1).is_complete:
        finished.wait(0.05)
    found = [row for number in range(len(level.positions)) for row in levels.block(ROOT, number).rows]
    assert found == expected
    for number in (0, 99, 100, 333):
        assert levels.number(ROOT, expected[number].key) == number
    assert levels.number(ROOT, encode("nothing")) is None
    background.close()


def signalling(event: threading.Event) -> Iterator[None]:
    event.set()
    yield


def test_measures_are_those_of_all_entries() -> None:
    reader = reader_of([f"a/{n}" for n in range(3_000)])
    measure = Measure()
    steps = sum(1 for _ in measure.fill(reader, branch_at(address_of(encode("a/"))), with_sizes=True))
    assert steps >= 1
    assert (measure.entries, measure.is_complete) == (3_000, True)
    assert measure.size == sum(
        len(key) + len(record) for page in reader.pages(ROOT.start, ROOT.stop) for key, record in page
    )
    counted = Measure()
    assert sum(1 for _ in counted.fill(reader, ROOT, with_sizes=False)) >= 1
    assert (counted.entries, counted.size, counted.is_complete) == (3_000, None, True)


def test_measure_is_told_while_it_is_counted() -> None:
    reader = reader_of(range(50))
    measure = Measure()
    filling = measure.fill(reader, ROOT, with_sizes=True)
    next(filling)
    assert measure.entries > 0
    assert not measure.is_complete
    assert measure.is_young  # so it is not begun again
    assert list(filling) is not None
    assert measure.is_complete


def test_jobs_end_where_they_are_when_the_background_is_closed() -> None:
    background = Background()
    begun, ended = threading.Event(), threading.Event()

    def endless() -> Iterator[None]:
        try:
            while True:
                begun.set()
                yield
        finally:
            ended.set()

    background.add(endless())
    assert begun.wait(60)
    background.close()
    assert ended.wait(60)
    background.add(endless())  # is not begun
    background.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_job_that_raises_does_not_end_the_others() -> None:
    background = Background()
    background.add(raising())
    assert background._thread is not None
    background._thread.join(60)
    done = threading.Event()
    background.add(signalling(done))
    assert done.wait(60)
    background.close()


def raising() -> Iterator[None]:
    yield
    raise ValueError("an error of a job")


def test_few_jobs_have_begun_at_a_time() -> None:
    background = Background()
    begun, most, left = [0], [0], [40]
    done = threading.Event()

    def job() -> Iterator[None]:
        begun[0] += 1
        most[0] = max(most[0], begun[0])
        for _ in range(20):
            yield
        begun[0] -= 1
        left[0] -= 1
        if not left[0]:
            done.set()

    for _ in range(40):
        background.add(job())
    assert done.wait(60)
    assert 1 <= most[0] <= 9
    background.close()


def test_later_job_does_not_wait_for_an_earlier_one() -> None:
    background = Background()
    done = threading.Event()

    def endless() -> Iterator[None]:
        while True:
            yield

    background.add(endless())
    background.add(signalling(done))
    assert done.wait(60)
    background.close()


def test_measures_know_a_branch_again() -> None:
    reader = reader_of(range(10))
    background = Background()
    measures = Measures(lambda: reader, background, with_sizes=True)
    first = measures.of(ROOT)
    assert measures.of(ROOT) is first
    measures.forget()
    assert measures.of(ROOT) is not first
    background.close()


def test_keys_that_were_damaged_have_a_name_and_an_address() -> None:
    damaged = encode("a") + b"\xff\xfe"
    with pytest.raises(coshelf.DamagedRecord):
        decode(damaged)
    with coshelf.open("memory:") as shelf:
        engine = shelf.engine_for("tests")
        engine.put(damaged, b"x")
        (child,) = children(engine, ROOT)
        assert "damaged" in child.name(ROOT)
        assert encoded_of(address_of(child.key)) == damaged


@pytest.mark.parametrize("key", ["a/" * 30_000, "/" * 30_000 + "a", tuple(range(30_000)), ("a", *[None] * 30_000)])
def test_key_of_very_many_parts_is_in_a_tree_of_few_levels(key: Any) -> None:
    around = branches_around(encode(key))
    assert 10 < len(around) < 100
    assert [branch_at(branch.address) for branch in around] == around
    others = [key[:10], key[:100], key[:1_000]]
    reader = reader_of([key, *others])
    assert list(leaves(reader, ROOT)) == sorted(map(encode, [key, *others]))
    *_, deepest = children(reader, around[-1])
    assert deepest.branch is None
    assert len(deepest.name(around[-1])) > 10
    too_deep = encode(key[:1_000])
    with pytest.raises(ValueError, match="not the address of a branch"):
        branch_at(address_of(too_deep))
