"""Rectangles whose areas are given numbers: a squarified treemap (Bruls, Huizing and van Wijk, 2000)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Rectangle", "squarified"]


class Rectangle(NamedTuple):
    """A part of the drawing, in the units of its width and height."""

    x: float
    y: float
    width: float
    height: float


def squarified(sizes: Sequence[float], width: float, height: float) -> list[Rectangle]:
    """One rectangle for each size, in their order. Together they fill the box; each is about as wide as it is high.

    Args:
        sizes: positive numbers, the largest first.
        width: of the box.
        height: of the box.

    >>> squarified([6, 6, 4, 3, 2, 2, 1], 6, 4)[0]
    Rectangle(x=0.0, y=0.0, width=3.0, height=2.0)
    """
    total = sum(sizes)
    if not total:
        return []
    scale = width * height / total
    areas = [size * scale for size in sizes]
    left = Rectangle(0.0, 0.0, float(width), float(height))
    placed: list[Rectangle] = []
    at = 0
    while at < len(areas):
        side = min(left.width, left.height)
        end = at + 1
        while end < len(areas) and _worst(areas[at : end + 1], side) <= _worst(areas[at:end], side):
            end += 1
        row, left = _row(areas[at:end], left)
        placed += row
        at = end
    return placed


def _worst(row: Sequence[float], side: float) -> float:
    """The worst ratio of the sides of the rectangles in a row along a side."""
    if not side:
        return 0.0
    total = sum(row)
    return max(side**2 * max(row) / total**2, total**2 / (side**2 * min(row)))


def _row(row: Sequence[float], box: Rectangle) -> tuple[list[Rectangle], Rectangle]:
    """The rectangles of a row along the shorter side of a box, and what is left of the box."""
    total = sum(row)
    placed = []
    if box.width >= box.height:
        thick, at = total / box.height if box.height else 0.0, box.y
        for area in row:
            length = area / thick if thick else 0.0
            placed.append(Rectangle(box.x, at, thick, length))
            at += length
        return placed, Rectangle(box.x + thick, box.y, max(box.width - thick, 0.0), box.height)
    thick, at = total / box.width, box.x
    for area in row:
        length = area / thick if thick else 0.0
        placed.append(Rectangle(at, box.y, length, thick))
        at += length
    return placed, Rectangle(box.x, box.y + thick, box.width, max(box.height - thick, 0.0))
