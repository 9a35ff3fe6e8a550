"""Many threads on one engine."""

from __future__ import annotations

import contextlib
import threading
from functools import partial

from coshelf.contract import Batch, Engine
from coshelf.errors import Conflict
from coshelf.keys import FIRST, LAST, encode
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A, B, C, body, contents, loaded, put
from coshelf.testing.contract.requirements import needs
from coshelf.testing.contract.task import Task

__all__ = ["ThreadTests"]


class ThreadTests(EngineTests):
    @needs("snapshots")
    def test_reader_never_sees_half_a_batch(self, engine: Engine, eager_threads: None) -> None:
        put(engine, {A: 0, B: 0, C: 0})
        over = threading.Event()

        def write() -> None:
            try:
                for number in range(1, 150):
                    put(engine, {A: number, B: number, C: number})
            finally:
                over.set()

        writer = Task(write)
        while not over.is_set():
            many = [loaded(entry) for entry in engine.get_many([A, B, C])]
            assert many == [many[0]] * 3
            scanned = [value for _, value in contents(engine)]
            assert scanned == [scanned[0]] * 3
        writer.finish()
        assert contents(engine) == [(A, 149), (B, 149), (C, 149)]

    def test_checked_commits_from_many_threads_lose_no_update(self, engine: Engine, eager_threads: None) -> None:
        put(engine, {A: 0})

        def count_up() -> None:
            done = 0
            while done < 15:
                entry = engine.get(A)
                assert entry is not None
                with contextlib.suppress(Conflict):
                    engine.commit(Batch(checks={A: entry.version}, puts={A: body(loaded(entry) + 1)}))
                    done += 1

        for task in [Task(count_up) for _ in range(4)]:
            task.finish()
        assert loaded(engine.get(A)) == 60

    def test_commits_of_different_threads_have_different_versions(self, engine: Engine, eager_threads: None) -> None:
        def commit_some(name: int) -> list[int | str]:
            return [put(engine, {encode((name, number)): number}) for number in range(15)]

        tasks = [Task(partial(commit_some, name)) for name in range(4)]
        given = [version for task in tasks for version in task.finish()]
        assert len(set(given)) == 60
        assert engine.count(FIRST, LAST) == 60
