"""The pickles of keys lose their memo without being loaded."""

from __future__ import annotations

import datetime as dt
import enum
import pickle
import pickletools
from collections import Counter, OrderedDict
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coshelf.dropin.diskcache.keys import pickled_key
from coshelf.dropin.diskcache.old_keys import without_memo


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Point(NamedTuple):
    x: Any
    y: Any


class Plain:
    """An object with a state, which its pickle sets after the object is in the memo."""

    def __init__(self, *values: Any) -> None:
        self.values = values


def stored(key: Any, protocol: int) -> bytes:
    """What diskcache stores for a key."""
    return pickletools.optimize(pickle.dumps(key, protocol))


TEXT = "text"
PAIR = (1, TEXT)
KEYS = [
    None, True, (), (TEXT, TEXT), (PAIR, PAIR, (PAIR, TEXT)), 2**70, [1, TEXT, TEXT], {TEXT: TEXT}, frozenset([TEXT]),
    Color.RED, (Color.RED, Color.BLUE, Color.RED), Point(TEXT, TEXT), (Point(1, 2), Point(1, 2)),
    (Plain(TEXT, TEXT),) * 2,
    (dt.date(2020, 1, 1),) * 2, UUID(int=7), Decimal("1.1"), PurePosixPath("/a/a"), ("f", 1, None, int, int, str),
    (b"x" * 300,) * 2, bytearray(b"1"), (1j, 1j), [[], []], list(range(2_500)), {n: str(n) for n in range(1_500)}, {1},
    OrderedDict(a=1), (Counter("aab"),) * 2, ValueError(TEXT, TEXT), TEXT * 30_000,
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
def test_keys_of_every_kind_are_as_the_cache_would_store_them(protocol: int) -> None:
    for key in KEYS:
        assert without_memo(stored(key, protocol)) == pickled_key(key, protocol)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=4)
plain = st.recursive(
    scalars | st.sampled_from([Color.RED, Point(1, TEXT), int, TEXT]),
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=3)
        | st.tuples(inner).map(lambda each: each * 2)
    ),
)


@settings(max_examples=40)
@given(key=plain, protocol=st.integers(0, 5))
def test_any_key_is_as_the_cache_would_store_it(key: Any, protocol: int) -> None:
    assert without_memo(stored(key, protocol)) == pickled_key(key, protocol)


def test_a_pickle_that_needs_its_memo_stays_as_it_is() -> None:
    holds_itself: list[Any] = []
    holds_itself.append(holds_itself)
    doubled: tuple[Any, ...] = (TEXT * 5,)
    for _ in range(60):
        doubled = (doubled, doubled)
    for key in (holds_itself, (holds_itself,), doubled):
        assert without_memo(stored(key, 5)) == stored(key, 5)


@given(
    data=st.binary(max_size=30) | st.lists(st.sampled_from([b"(", b"\x94", b"h\x00", b"N", b"t", b"."])).map(b"".join)
)
def test_other_bytes_stay_as_they_are_or_become_a_pickle_without_a_memo(data: bytes) -> None:
    for given_bytes in (data, b"\x80\x04" + data):
        made = without_memo(given_bytes)
        if made != given_bytes:
            assert not {
                name for name in (op.name for op, _, _ in pickletools.genops(made)) if "MEMO" in name or "GET" in name
            }
