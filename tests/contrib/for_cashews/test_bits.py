"""Counters of some bits each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coshelf.contrib.cashews.bits import Bits, InvalidBits


@given(
    st.integers(1, 70),
    st.lists(st.tuples(st.integers(0, 40), st.integers(-(1 << 71), 1 << 71)), max_size=20),
)
def test_counters_are_those_of_a_model(size: int, steps: list[tuple[int, int]]) -> None:
    numbers: dict[int, int] = {}
    packed = b""
    for index, by in steps:
        bits = Bits(packed, size)
        numbers[index] = min(max(numbers.get(index, 0) + by, 0), (1 << size) - 1)
        assert bits.add(index, by) == numbers[index]
        packed = bytes(bits.packed)
    bits = Bits(packed, size)
    assert [bits.get(index) for index in range(60)] == [numbers.get(index, 0) for index in range(60)]
    assert bytes(bits.packed) == packed


def test_what_is_no_counter_is_refused() -> None:
    with pytest.raises(InvalidBits, match="at least 1 bit"):
        Bits(b"", 0)
    with pytest.raises(InvalidBits, match="-1"):
        Bits(b"", 1).add(-1, 1)
    with pytest.raises(InvalidBits, match="-1"):
        Bits(b"", 1).get(-1)
