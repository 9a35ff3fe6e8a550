"""What reads, compares and writes comes out exact while flushes move entries from one part to the other."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from support import Crew

import coshelf
from coshelf import keys
from coshelf.contract import ABSENT, Batch
from coshelf.errors import Conflict

SCRIPTS = Path(__file__).parent / "scripts" / "optimistic"


def test_each_item_is_popped_by_one(crew: Crew, path: str) -> None:
    with coshelf.open(path, flush_interval=0) as shelf:
        shelf.update({n: n for n in range(300)})
        workers = crew.start_many(
            3,
            SCRIPTS / "pops.py",
            path,
        )
        got = [int(n) for worker in workers for n in (worker.finish() or [""])[-1].split()]
        assert sorted(got) == list(range(300))
        assert len(shelf) == 0


def test_setdefault_and_replace_have_one_winner(crew: Crew, path: str) -> None:
    workers = crew.start_many(
        3,
        SCRIPTS / "one_winner_while_flushing.py",
        path,
    )
    for worker in workers:
        worker.finish()
    with coshelf.open(path, "r") as shelf:
        assert {shelf[turn] for turn in range(60)} == {"replaced"}
        assert sum(shelf.values(prefix=("count",))) == 60


def test_modify_by_threads_and_processes_comes_out_exact(crew: Crew, path: str) -> None:
    with coshelf.open(path, flush_interval=0) as shelf:
        shelf["count"] = 0
        workers = crew.start_many(2, SCRIPTS / "modifies.py", path)

        def count() -> None:
            for _ in range(40):
                shelf.modify("count", lambda number: number + 1)

        threads = [threading.Thread(target=count) for _ in range(2)]
        for thread in threads:
            thread.start()
        for joined in threads:
            joined.join()
        for worker in workers:
            worker.finish()
        assert shelf["count"] == 2 * 80 + 2 * 40


@pytest.mark.parametrize("flushed", [(), (0,), (1,), (0, 1)], ids=str)
def test_a_version_read_before_a_flush_is_good_after_it(path: str, flushed: tuple[int, ...]) -> None:
    key, other = keys.encode("a"), keys.encode("b")
    with coshelf.open(path, flush_interval=1000) as shelf:
        engine: Any = shelf._handle.engine
        shelf["first"] = 1
        shelf.sync()

        def flush_at(moment: int) -> None:
            if moment in flushed:
                shelf.sync()

        shelf["a"] = 1
        flush_at(0)
        version = engine.get(key).version
        flush_at(1)
        body = engine.get(key).record[:-12]
        engine.commit(Batch(puts={key: body}, checks={key: version, other: ABSENT}))
        with pytest.raises(Conflict) as conflict:
            engine.commit(Batch(puts={key: body}, checks={key: version}))
        assert conflict.value.keys == (key,)
        del shelf["a"]
        flush_at(0)
        flush_at(1)
        with pytest.raises(Conflict):
            engine.commit(Batch(puts={other: body}, checks={key: version}))
        engine.commit(Batch(puts={other: body}, checks={key: ABSENT}))
        assert dict(shelf) == {"b": 1, "first": 1}
