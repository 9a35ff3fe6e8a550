"""What holds with a delta that is written through its map holds with one written by system calls, and with none."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from insides import MODES
from support import Crew, Worker, beside

import coshelf
from coshelf.engines.lmdb.delta import state

SCRIPTS = Path(__file__).parent / "scripts" / "kinds"


@pytest.fixture(params=MODES)
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def test_it_is_the_kind_that_it_is_said_to_be(crew: Crew, path: str, kind: str) -> None:
    crew.run(
        SCRIPTS / "is_of_the_kind.py",
        path,
        kind,
    )


def test_who_comes_later_does_as_the_first_though_it_would_have_decided_otherwise(
    crew: Crew, path: str, kind: str
) -> None:
    holder = crew.start(SCRIPTS / "first_holder.py", path, kind)
    holder.expect("open")
    os.chmod(path, 0o600 if kind == "PLAIN" else 0o660)
    with coshelf.open(path) as shelf:
        environment = shelf._handle.engine._environment  # type: ignore[attr-defined]
        assert environment.page.delta.identity().kind == getattr(state, kind)
        assert shelf["a"] == 1
        shelf["b"] = 2
    holder.tell()
    assert holder.finish() == ["2"]


def test_everything_a_dict_does(crew: Crew, path: str, kind: str) -> None:
    crew.run(
        SCRIPTS / "as_a_dict.py",
        path,
        kind,
    )
    assert beside(path) == ["a.shelf"]


def test_counters_of_several_processes_come_out_exact(crew: Crew, path: str, kind: str) -> None:
    workers = crew.start_many(
        3,
        SCRIPTS / "counts_exactly.py",
        path,
        kind,
    )
    for worker in workers:
        worker.finish()
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == {"count": 180, "left": 180, "right": -180}
    assert beside(path) == ["a.shelf"]


@pytest.mark.parametrize("durability", ["interval", "commit"])
def test_what_had_returned_survives_a_kill(crew: Crew, path: str, kind: str, durability: str) -> None:
    for turn in range(3):
        victim = crew.start(
            SCRIPTS / "killed_writer.py",
            path,
            kind,
            durability,
        )
        for _ in range(30 * (turn + 1)):
            returned = int(victim.hear())
        victim.kill()
        with coshelf.open(path, timeout=60) as shelf:
            assert shelf["turn"] >= returned
            halves = {shelf["half", n] for n in range(5)}
            assert len(halves) == 1 and halves <= {shelf["turn"], shelf["turn"] - 1}
        assert beside(path) == ["a.shelf"]


def test_a_batch_too_large_for_the_delta(crew: Crew, path: str, kind: str) -> None:
    crew.run(
        SCRIPTS / "large_batch.py",
        path,
        kind,
    )


def test_forked_children_commit_too(crew: Crew, path: str, kind: str) -> None:
    crew.run(
        SCRIPTS / "forked_children.py",
        path,
        kind,
    )
    assert beside(path) == ["a.shelf"]


PLACES = ["commit-applied", "flush-copied", "flush-committed", "empty-begun", "direct-committed"]


@pytest.mark.parametrize("place", PLACES)
def test_killed_at_a_failpoint_a_written_delta_loses_nothing(
    path: str, armed: Callable[..., Worker], place: str
) -> None:
    """The kind that is written through its map has tests of its own."""
    victim = armed(
        f"{place}=kill@1000",
        SCRIPTS / "killed_at_a_failpoint.py",
        path,
        "PLAIN",
        place,
    )
    victim.finish(-signal.SIGKILL)
    with coshelf.open(path, timeout=60) as shelf:
        found = shelf.copy()
        assert found.pop("first") == found.pop("returned") == 1
        assert ("under way" in found) == (place != "commit-applied")
        found.pop("under way", None)
        assert len(found) in (0, 1001)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_system_without_a_boot_id_has_no_delta(crew: Crew, path: str) -> None:
    """Some sandboxes have an empty file there."""
    crew.run(
        SCRIPTS / "without_a_boot_id.py",
        path,
    )
