"""The clock of a server is asked seldom, and again when the two clocks may have parted."""

from __future__ import annotations

import pytest

from coshelf.engines import server_clock
from coshelf.engines.server_clock import ServerClock
from coshelf.system import clock

SECOND = 1_000_000


class Clocks:
    """A server's clock, and the two of this machine. They go on together until a test sets one of them."""

    def __init__(self) -> None:
        self.server, self.system, self.monotonic = 5_000 * SECOND, 9_000 * SECOND, 7 * SECOND
        self.asked = 0

    def ask(self) -> int:
        self.asked += 1
        return self.server

    def pass_by(self, seconds: float) -> None:
        self.server += round(seconds * SECOND)
        self.system += round(seconds * SECOND)
        self.monotonic += round(seconds * SECOND)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr(clock, "now", lambda: clocks.system)
    monkeypatch.setattr(server_clock, "_monotonic", lambda: clocks.monotonic)
    return clocks


def test_server_is_asked_once_a_minute(clocks: Clocks) -> None:
    asked = ServerClock(clocks.ask)
    for seconds, times in ((0, 1), (1, 1), (58, 1), (2, 2), (59, 2), (3_600, 3)):
        clocks.pass_by(seconds)
        assert (asked.now(), clocks.asked) == (clocks.server, times)


@pytest.mark.parametrize("seconds", [0.06, -0.06, 3_600, -3_600])
def test_server_is_asked_again_when_the_clock_of_the_machine_is_set(clocks: Clocks, seconds: float) -> None:
    asked = ServerClock(clocks.ask)
    asked.now()
    clocks.pass_by(1)
    clocks.system += round(seconds * SECOND)
    assert (asked.now(), clocks.asked) == (clocks.server, 2)


def test_clock_of_the_server_that_is_set_is_noticed_within_a_minute(clocks: Clocks) -> None:
    asked = ServerClock(clocks.ask)
    asked.now()
    clocks.server -= 10 * SECOND
    clocks.pass_by(61)
    assert asked.now() == clocks.server


def test_failed_question_is_asked_again(clocks: Clocks) -> None:
    def fail() -> int:
        raise ConnectionError

    asked = ServerClock(fail)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            asked.now()
