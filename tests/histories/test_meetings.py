"""A process opens, looks, writes and closes while another is stopped at any place, or dies there, and goes on.

No commit is invisible, doubled or lost, no reading mixes two states, no number is given out twice (``bank.py``).
"""

from __future__ import annotations

from pathlib import Path

import failpoint_names
import pytest
from support import Crew

SCRIPTS = Path(__file__).parent / "scripts" / "meetings_of_two"

AT_FAILPOINT = SCRIPTS / "at_failpoint.py"

AT_STEPS = SCRIPTS / "at_steps.py"


def reached(crew: Crew, program: Path, *arguments: object) -> list[int]:
    worker = crew.start(program, *arguments)
    said, _ = worker.process.communicate()
    assert worker.process.returncode == 0, worker.errors()
    return [int(number) for number in said.split()]


@pytest.mark.parametrize("name", failpoint_names.names())
def test_at_a_failpoint(crew: Crew, path: str, name: str) -> None:
    (times,) = reached(crew, AT_FAILPOINT, path, name, "bounded")
    assert times, f"{name} was never reached: add a way to it to the turns of bank.py"


@pytest.mark.long
@pytest.mark.parametrize("name", failpoint_names.names())
def test_at_a_failpoint_in_all_ways(crew: Crew, path: str, name: str) -> None:
    (times,) = reached(crew, AT_FAILPOINT, path, name, "all")
    assert times >= 6


@pytest.mark.parametrize(
    ("which", "number"),
    [
        ("bounded", 1),
        pytest.param("bounded", 2, marks=pytest.mark.long),
        *[pytest.param("all", part, marks=pytest.mark.long) for part in range(0, 70, 7)],
    ],
)
@pytest.mark.parametrize("durability", ["interval", "commit"])
def test_at_any_step(crew: Crew, path: str, durability: str, which: str, number: int) -> None:
    """Steps are calls into C that return inside the library, while it makes, opens, writes and closes the shelf."""
    times, steps = reached(crew, AT_STEPS, path, durability, which, number)
    assert times > steps


def test_a_failpoint_that_nobody_reaches_is_noticed(crew: Crew, path: str) -> None:
    assert reached(crew, AT_FAILPOINT, path, "nowhere", "bounded") == [0]


def test_a_meeting_convicts(crew: Crew, path: str) -> None:
    """A flush that empties the delta of what came meanwhile."""
    worker = crew.start(SCRIPTS / "sabotaged.py", path)
    worker.process.wait()
    assert "bank.py" in worker.errors() and "AssertionError" in worker.errors(), worker.errors()
