"""A process opens, looks, writes and closes while another is stopped at any place, or dies there, and goes on.

No commit is invisible, doubled or lost, no reading mixes two states, no number is given out twice (``bank.py``).
"""

from __future__ import annotations

import failpoint_names
import pytest
from support import Crew

# Bounded: each place once with each action; the rest of a meeting goes round. Long: all of it, and every seventh step.
SCRIPT = """
import itertools, json, os, random, shutil
import coshelf.engines.lmdb.engine
import meetings

signal.alarm(110)  # longer than what other workers do

SETTINGS = [("interval", 0.01, False), ("commit", 1.0, True), ("interval", 1.0, False),
            ("interval", 0.01, True), ("commit", 1.0, False), ("interval", 1.0, True)]
ACTIONS = ("pause", "kill", "pause and kill")
directory = path + ".meetings"

def meet(*given, **more):
    meeting = meetings.Meeting(*given, **more)
    print(meeting, file=sys.stderr)  # shown if it fails
    reached = meeting.take_place(directory)
    shutil.rmtree(directory)
    return reached
"""

AT_FAILPOINT = """
shift = sum(map(ord, sys.argv[2]))
reached = 0
for number, action in enumerate(ACTIONS):
    for turn in (1, 2):
        some = [SETTINGS[(shift + number * 2 + turn) % 6]] if sys.argv[3] == "bounded" else SETTINGS
        for durability, flush_interval, keeper in some:
            reached += meet(sys.argv[2], action, durability, flush_interval, keeper, turn=turn, stays=turn == 1)
say(reached)
"""

AT_STEPS = """
durability, which, number = sys.argv[2], sys.argv[3], int(sys.argv[4])
last = meetings.count_steps(directory, durability)
shutil.rmtree(directory)
# Some of the last steps are not reached each time: what there is to flush depends on the moment.
if which == "bounded":
    steps = random.Random(number).sample(range(1, last + 1), 5)
else:
    steps = range(1 + number, last + 1, 70)
met = [
    meet(step, action, durability, 1.0, (step + number) % 2 == 1, stays=step // 2 % 2 == 1)
    for step in steps for action in ACTIONS
]
say(sum(met), len(steps))
"""


def reached(crew: Crew, *arguments: object) -> list[int]:
    worker = crew.start(*arguments)
    said, _ = worker.process.communicate()
    assert worker.process.returncode == 0, worker.errors()
    return [int(number) for number in said.split()]


@pytest.mark.parametrize("name", failpoint_names.names())
def test_at_a_failpoint(crew: Crew, path: str, name: str) -> None:
    (times,) = reached(crew, SCRIPT + AT_FAILPOINT, path, name, "bounded")
    assert times, f"{name} was never reached: add a way to it to the turns of bank.py"


@pytest.mark.long
@pytest.mark.parametrize("name", failpoint_names.names())
def test_at_a_failpoint_in_all_ways(crew: Crew, path: str, name: str) -> None:
    (times,) = reached(crew, SCRIPT + AT_FAILPOINT, path, name, "all")
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
    times, steps = reached(crew, SCRIPT + AT_STEPS, path, durability, which, number)
    assert times > steps


def test_a_failpoint_that_nobody_reaches_is_noticed(crew: Crew, path: str) -> None:
    assert reached(crew, SCRIPT + AT_FAILPOINT, path, "nowhere", "bounded") == [0]


def test_a_meeting_convicts(crew: Crew, path: str) -> None:
    """A flush that empties the delta of what came meanwhile."""
    sabotage = """
from coshelf.engines.lmdb.delta.rows import Delta
Delta.newer = lambda *_: []
# The second time is in sync(); the first, in the background, may be long over for the thread that commits.
meet("flush-committed", "pause", "interval", 10.0, False, turn=2, stays=True)
"""
    worker = crew.start(SCRIPT + sabotage, path)
    worker.process.wait()
    assert "bank.py" in worker.errors() and "AssertionError" in worker.errors(), worker.errors()
