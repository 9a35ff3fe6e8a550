"""Programs that gevent patches: before the shelf is opened, or after it, as ``gunicorn --preload -k gevent`` does."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import Crew

pytest.importorskip("gevent")

# gevent 25 under -W error: its own use of what Python deprecates is not ours.
OPTIONS: tuple[str, ...] = ("-W", "default")
GREENLETS = Path(__file__).parent / "scripts" / "gevent" / "greenlets.py"


@pytest.mark.parametrize("engine", ["", "sqlite:", "files:"])
@pytest.mark.parametrize("beginning", ["fresh", "used", "early"])
def test_greenlets_write_and_wait_through_one_shelf(crew: Crew, path: str, beginning: str, engine: str) -> None:
    worker = crew.start(GREENLETS, path, engine, beginning, options=OPTIONS, fresh=True)
    worker.expect("done")
    worker.process.wait()
    assert worker.process.returncode == 0, worker.errors()


def test_memory_works_for_greenlets_too(crew: Crew, path: str) -> None:
    worker = crew.start(GREENLETS, path, "memory:", "used", options=OPTIONS, fresh=True)
    worker.expect("done")
    worker.process.wait()
    assert worker.process.returncode == 0, worker.errors()
