"""The claims, the contract of engines, state machines and tests of processes where a facility is really lacking.

``environment.py`` says how it is taken away. What ran where is printed at the end of the run of pytest.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import environment
import pytest
from environment import Outcome, pytest_in, reason_against
from lacking.facilities import FACILITIES
from lacking.tables import ALL, PROFILES
from runs import RUNS

CLAIMS = "tests/platforms/claims"
SHORT, WHOLE = 300, 3600
"""Seconds after which a run is ended."""


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Outcome]:
    def run(names: str, *arguments: str, timeout: float) -> Outcome:
        against = reason_against(names)
        if against:
            if "gcc" in against and os.environ.get("CI") == "1":
                pytest.fail(against)
            pytest.skip(against)
        outcome = pytest_in(names, tmp_path, arguments, timeout)
        request.node.user_properties.append(("ran without", f"{names}: {outcome}"))
        return outcome

    return run


def _went_well(outcome: Outcome) -> None:
    assert (outcome.code, outcome.names("failed")) == (0, []), outcome.said
    assert outcome.names("passed"), outcome.said


@pytest.mark.parametrize("names", sorted(RUNS))
def test_few_tests_pass_where_it_is_lacking(names: str, run: Callable[..., Outcome]) -> None:
    wanted = RUNS[names]
    _went_well(run(names, "-m", "not long", "--timeout=120", CLAIMS, "-k", wanted.claims, timeout=SHORT))
    if wanted.short:
        _went_well(run(names, "-m", "not long", "--timeout=120", *wanted.short, timeout=SHORT))


@pytest.mark.long
@pytest.mark.timeout(2 * WHOLE)
@pytest.mark.parametrize("names", sorted(RUNS))
def test_all_tests_that_concern_it_pass_where_it_is_lacking(names: str, run: Callable[..., Outcome]) -> None:
    wanted = RUNS[names]
    _went_well(run(names, "-m", "not long", "--timeout=300", CLAIMS, "-k", wanted.possible, timeout=WHOLE))
    if wanted.whole:
        _went_well(run(names, "-m", "not long", "--timeout=300", *wanted.whole, timeout=WHOLE))


def test_everything_that_can_be_lacking_has_a_run() -> None:
    assert set(RUNS) == set(ALL) == {*FACILITIES, *PROFILES}


def test_run_fails_if_something_was_not_taken_away(
    run: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = tmp_path / "launch.py"
    launch.write_text("import os, sys; os.execv(sys.argv[1], sys.argv[1:])", "utf-8")
    monkeypatch.setattr(environment, "_LAUNCH", launch)
    outcome = run("inotify", CLAIMS, "-k", "memory", timeout=SHORT)
    assert outcome.code != 0
    assert not outcome.tests
    assert "not refused: inotify_init" in outcome.said
