"""Positions: the number of a commit, and the era in which it got that number.

After a power cut, or if a copy of the file is put back, numbers come again for other commits. The era tells these
apart. It is the time when the state page was made, so a later position is a greater number.
"""

from __future__ import annotations

from typing import NamedTuple

from coshelf.contract import Position

__all__ = ["Place", "place_of", "position_of"]

_NUMBER = 64  # bits


class Place(NamedTuple):
    """What a position says."""

    era: int
    number: int


def position_of(era: int, number: int) -> int:
    """The position right after the commit with a number."""
    return era << _NUMBER | number


def place_of(position: Position) -> Place:
    """What a position says. Raises ValueError if it cannot be one."""
    if type(position) is not int or position < 0 or position >> 2 * _NUMBER:
        raise ValueError(f"{position!r} is no position of this shelf: a position is what `version` gave")
    return Place(position >> _NUMBER, position & ((1 << _NUMBER) - 1))
