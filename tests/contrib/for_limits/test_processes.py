"""Limits of several processes: exact, whatever happens to one of them."""

from __future__ import annotations

import pytest
from support import Crew

from coshelf.contrib.limits import CoshelfStorage

HITTING = """
    import limits
    from coshelf.contrib.limits import CoshelfStorage
    storage, hundred = CoshelfStorage(path), limits.parse("100 per 10 year")
    say("ready")
    hear()
    for strategy in sorted(limits.strategies.STRATEGIES):
        limiter = limits.strategies.STRATEGIES[strategy](storage)
        say(sum(limiter.hit(hundred, "ann") for _ in range(80)))
    storage.close()
"""
HITTING_FOR_EVER = """
    import limits
    from coshelf.contrib.limits import CoshelfStorage
    storage = CoshelfStorage(path)
    allowed = 0
    while storage.acquire_entry("ann", 100_000, 3600):
        allowed += 1
        say(allowed)
"""


@pytest.mark.parametrize("engine", ["lmdb", "sqlite"])
def test_hits_of_processes_at_once_are_counted_exactly(crew: Crew, path: str, engine: str) -> None:
    workers = crew.start_many(2, HITTING, f"{engine}:{path}")
    allowed = [list(map(int, worker.finish())) for worker in workers]
    assert [sum(found) for found in zip(*allowed, strict=True)] == [100, 100, 100]


def test_a_kill_loses_no_hit_that_was_allowed(crew: Crew, path: str) -> None:
    worker = crew.start(HITTING_FOR_EVER, path)
    heard = [worker.hear() for _ in range(50)]
    worker.kill()
    allowed = int([*heard, *worker.rest().splitlines()][-1])
    storage = CoshelfStorage(path)
    _, counted = storage.get_moving_window("ann", 100_000, 3600)
    assert allowed <= counted <= allowed + 1
    assert storage.acquire_entry("ann", counted + 1, 3600)
    assert not storage.acquire_entry("ann", counted + 1, 3600)
    storage.close()
