"""Nothing reads more rows than it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.engines.lmdb import long_keys
from coshelf.engines.sorted_table import SortedTable


class Counted:
    """Counts the rows that the engines read, at the place where each of them reads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows = 0
        walk, scan = long_keys.walk, SortedTable.scan
        monkeypatch.setattr(long_keys, "walk", lambda *given: self._count(walk(*given)))
        monkeypatch.setattr(SortedTable, "scan", lambda *given, **more: self._count(scan(*given, **more)))

    def _count(self, rows: Iterator[Any]) -> Iterator[Any]:
        for row in rows:
            self.rows += 1
            yield row

    def taken(self) -> int:
        rows, self.rows = self.rows, 0
        return rows


@pytest.fixture(params=["lmdb", "memory"])
def large(request: pytest.FixtureRequest, path: Path) -> Iterator[Any]:
    """A shelf of 30,000 entries in 100 folders."""
    with coshelf.open(path if request.param == "lmdb" else "memory:") as shelf:
        shelf.update({f"{folder:02}/{n:03}/x": n for folder in range(100) for n in range(300)})
        yield shelf


def test_selections_cost_what_they_return(large: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    for conditions, expected, most in (
        ({"prefix": "42/"}, 300, 300),
        ({"prefix": "42/007"}, 1, 1),
        ({"prefix": "missing"}, 0, 0),
        ({"start": "10/", "stop": "10/005"}, 5, 5),
        ({"glob": "42/007/x"}, 1, 1),
        ({"glob": "42/*/x"}, 300, 300),
        ({"glob": "*/007/x"}, 100, 400),
        ({"glob": "4[23]/00?/x"}, 20, 60),
        ({"glob": "*"}, 0, 110),
        ({"glob": "*/*"}, 0, 30_100),
        ({"glob": "9*/29*/*"}, 100, 500),
    ):
        for reverse in (False, True):
            # Not list(), which asks for the length first.
            assert sum(1 for _ in large.keys(**conditions, reverse=reverse)) == expected
            assert counted.taken() <= most, (conditions, reverse)


def test_first_items_cost_no_more_than_they_are(large: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    for view in (large, large.items(), large.values(), reversed(large), large.items(prefix="5"), large.sub("42")):
        assert next(iter(view)) is not None
        assert counted.taken() <= 2


def test_length_and_membership_walk_nothing(large: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    assert len(large) == len(large.keys()) == len(large.items()) == 30_000
    assert "42/007/x" in large
    assert "42/007/x" in large.keys("42/*/x")
    assert ("42/007/x", 7) in large.items(prefix="42")
    assert large.get_many(["42/007/x", "43/007/x", "missing"]) == {"42/007/x": 7, "43/007/x": 7}
    assert counted.taken() == 0


def test_whether_there_is_anything_takes_one_row(large: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    for some in (large, large.sub("42"), large.keys(prefix="42/"), large.items("42/*/x"), large.values()):
        assert bool(some)
        assert counted.taken() <= 1
    assert not large.sub("nothing")
    assert not large.keys(prefix="nothing")


def test_cursor_and_popitem_cost_one_row_a_move(large: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    cursor = large.cursor()
    moves: list[Callable[[], Any]] = [cursor.first, cursor.next, cursor.last, cursor.previous]
    for move in (*moves, lambda: cursor.seek("42/"), cursor.next, cursor.previous, large.popitem):
        assert move() is not None
        assert counted.taken() <= 1
