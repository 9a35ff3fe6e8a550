"""A kill loses nothing that has not expired, brings back nothing that has, and parts no entry from its row."""

from __future__ import annotations

from pathlib import Path

import pytest
from failpoint_names import names
from support import Crew

LIVES = Path(__file__).parent / "scripts" / "cut_short.py"
WHICH = ["bounded", pytest.param("long", marks=pytest.mark.long)]


@pytest.mark.parametrize("which", WHICH)
def test_killed_at_every_failpoint(crew: Crew, path: str, which: str) -> None:
    reached = set(crew.run(LIVES, path, "failpoints", which))
    assert reached == set(names())


@pytest.mark.parametrize("which", WHICH)
def test_killed_inside_of_expire(crew: Crew, path: str, which: str) -> None:
    for line in crew.run(LIVES, path, "expire", which):
        killed, tried = map(int, line.split())
        assert killed > tried / 2


def test_removal_in_two_commits_is_convicted(crew: Crew, path: str) -> None:
    """These tests can fail: rows of the index that go first leave entries that nobody removes."""
    lives = crew.start(LIVES, path, "expire", "bounded", "rows first")
    lives.finish(1)
    assert "has no row in the index" in lives.errors()
