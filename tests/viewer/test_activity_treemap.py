"""The rectangles of the map of sizes."""

from __future__ import annotations

import random

import pytest

from coshelf.viewer.activity.treemap import squarified


@pytest.mark.parametrize("seed", range(5))
def test_rectangles_fill_the_box_and_have_the_areas_of_their_sizes(seed: int) -> None:
    chance = random.Random(seed)
    sizes = sorted((chance.paretovariate(1) for _ in range(chance.randrange(1, 60))), reverse=True)
    found = squarified(sizes, 640, 360)
    scale = 640 * 360 / sum(sizes)
    assert [each.width * each.height for each in found] == pytest.approx([size * scale for size in sizes], rel=1e-6)
    for each in found:
        assert -1e-6 <= each.x <= each.x + each.width <= 640 + 1e-6
        assert -1e-6 <= each.y <= each.y + each.height <= 360 + 1e-6


def test_no_two_rectangles_overlap() -> None:
    found = squarified([9, 7, 5, 3, 2, 1, 1], 100, 60)
    for number, one in enumerate(found):
        for other in found[number + 1 :]:
            wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert min(wide, high) <= 1e-9


def test_equal_sizes_become_squares() -> None:
    assert {(each.width, each.height) for each in squarified([1, 1, 1, 1], 20, 20)} == {(10.0, 10.0)}


def test_nothing_has_no_rectangles() -> None:
    assert squarified([], 10, 10) == []
