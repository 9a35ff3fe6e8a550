"""Two frameworks use one shelf at once, in several processes. Some of them are killed, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

from limits import RateLimitItemPerDay
from support import Crew, Worker

import coshelf
from coshelf.contrib.cachelib import CoshelfCache
from coshelf.contrib.limits import CoshelfStorage

SCRIPTS = Path(__file__).parent / "scripts"
COUNTS = 60


def counted_by(worker: Worker) -> list[int]:
    """What a worker has told so far, of what it counted."""
    return [int(worker.hear()) for _ in range(COUNTS)]


def test_two_frameworks_share_a_shelf_and_some_processes_are_killed(crew: Crew, path: str) -> None:
    # One process of each framework is killed in the middle; the other goes on to the end.
    names = ("killed", "alive")
    workers = {
        (program, name): crew.start(SCRIPTS / f"counts_in_{program}.py", path, name)
        for program in ("cachelib", "limits")
        for name in names
    }
    for worker in workers.values():
        worker.expect("ready")
    told = {key: counted_by(worker) for key, worker in workers.items()}
    for (_, name), worker in workers.items():
        if name == "killed":
            worker.process.kill()
    for key, worker in workers.items():
        if key[1] == "alive":
            told[key] += counted_by(worker)  # the others go on
            worker.tell("end")
    for key, worker in workers.items():
        told[key] += [int(line) for line in worker.rest().splitlines(keepends=True) if line.endswith("\n")]

    cache, storage, limit = CoshelfCache(path), CoshelfStorage(f"coshelf://{path}"), RateLimitItemPerDay(1_000_000)
    for name in names:
        pairs = (
            (cache.get(name), told["cachelib", name][-1]),
            (storage.get(limit.key_for(name)), told["limits", name][-1]),
        )
        for found, last in pairs:
            # A process that is killed between a commit and its report has counted one more than it told.
            assert 0 <= found - last <= (name == "killed")
    assert cache.get("page")["by"] in names
    with coshelf.open(path) as shelf:
        assert {key.partition("/")[0] for key in shelf.keys(prefix="")} == {"cachelib", "limits"}
        assert not shelf.check().problems
    cache.clear()  # of one framework is not of the other
    assert storage.get(limit.key_for("alive")) == told["limits", "alive"][-1]
    cache.close()
    cache.close()
    storage.close()
