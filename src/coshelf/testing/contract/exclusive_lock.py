"""The lock that keeps other writers out."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from coshelf.contract import Batch, Engine, OpenOptions
from coshelf.errors import Conflict, ShelfLocked, TransactionInProgress
from coshelf.keys import FIRST, LAST
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A, B, C, body, conflicts, contents, loaded, put, versions
from coshelf.testing.contract.requirements import needs
from coshelf.testing.contract.task import Task

__all__ = ["ExclusiveLockTests"]


class ExclusiveLockTests(EngineTests):
    @needs("exclusive")
    def test_commits_of_others_wait_until_the_lock_is_released(self, engine: Engine) -> None:
        put(engine, {A: 1})
        with engine.exclusive() as lock:
            other = Task(lambda: put(engine, {A: "other"}))
            assert other.still_runs()
            assert loaded(engine.get(A)) == 1
            put(lock, {A: "holder"})
            assert other.still_runs()
            assert loaded(engine.get(A)) == "holder"
        other.finish()
        assert loaded(engine.get(A)) == "other"

    @needs("exclusive")
    def test_lock_is_held_by_one_at_a_time(self, engine: Engine, eager_threads: None) -> None:
        put(engine, {A: 0})

        def count_up() -> None:
            for _ in range(10):
                with engine.exclusive() as lock:
                    put(lock, {A: loaded(engine.get(A)) + 1})

        for task in [Task(count_up) for _ in range(4)]:
            task.finish()
        assert loaded(engine.get(A)) == 40

    @needs("exclusive")
    def test_lock_and_plain_checked_commits_lose_no_update(self, engine: Engine, eager_threads: None) -> None:
        put(engine, {A: 0})

        def with_lock() -> None:
            for _ in range(15):
                with engine.exclusive() as lock:
                    put(lock, {A: loaded(engine.get(A)) + 1})

        def with_check() -> None:
            done = 0
            while done < 15:
                entry = engine.get(A)
                assert entry is not None
                with contextlib.suppress(Conflict):
                    engine.commit(Batch(checks={A: entry.version}, puts={A: body(loaded(entry) + 1)}))
                    done += 1

        for task in [Task(with_lock), Task(with_check), Task(with_lock), Task(with_check)]:
            task.finish()
        assert loaded(engine.get(A)) == 60

    @needs("exclusive")
    def test_reads_do_not_wait_for_the_lock(self, engine: Engine) -> None:
        put(engine, {A: 1})

        def read() -> tuple[object, ...]:
            return (
                loaded(engine.get(A)),
                [loaded(entry) for entry in engine.get_many([A])],
                contents(engine),
                engine.count(FIRST, LAST),
            )

        with engine.exclusive():
            assert Task(read).finish() == (1, [1], [(A, 1)], 1)

    @needs("exclusive", "snapshots")
    def test_snapshots_do_not_wait_for_the_lock(self, engine: Engine) -> None:
        put(engine, {A: 1})

        def read() -> object:
            with engine.snapshot() as snapshot:
                return contents(snapshot)

        with engine.exclusive():
            assert Task(read).finish() == [(A, 1)]

    @needs("exclusive")
    def test_commit_of_the_holder_is_like_any_other(self, engine: Engine) -> None:
        first = put(engine, {A: 1})
        with engine.exclusive() as lock:
            second = put(lock, {B: 2})
            assert versions(engine) == {A: first, B: second}
            assert conflicts(lock, {A: first, B: first}) == [B]
            third = lock.commit(Batch(checks={A: first}, deletes=frozenset((A,)), puts={C: body(3)}))
        assert versions(engine) == {B: second, C: third}
        assert len({first, second, third}) == 3

    @needs("exclusive")
    def test_holder_that_passes_its_lock_by_is_refused(self, engine: Engine) -> None:
        with engine.exclusive() as lock:
            with pytest.raises(TransactionInProgress):
                put(engine, {A: "beside"})
            with pytest.raises(TransactionInProgress):
                engine.put(A, body("beside"))
            assert contents(engine) == []
            put(lock, {A: "within"})
        assert contents(engine) == [(A, "within")]

    @needs("exclusive")
    def test_only_the_thread_that_holds_the_lock_owns_it(self, engine: Engine) -> None:
        assert not engine.owns_exclusive()
        with engine.exclusive():
            assert engine.owns_exclusive()
            assert Task(engine.owns_exclusive).finish() is False
        assert not engine.owns_exclusive()

    @needs("exclusive", "persistent", "shared=processes")
    def test_lock_is_owned_through_any_handle(self, engine: Engine, tmp_path: Path) -> None:
        with contextlib.closing(self.open_engine(tmp_path, OpenOptions())) as second:
            with engine.exclusive() as lock:
                assert second.owns_exclusive()
                other = Task(lambda: put(second, {A: "other"}))
                put(lock, {A: "holder"})
                assert other.still_runs()
                assert loaded(second.get(A)) == "holder"
            other.finish()

    @needs("exclusive", "persistent", "shared=processes")
    def test_commits_through_another_handle_wait_for_the_lock(self, engine: Engine, tmp_path: Path) -> None:
        with contextlib.closing(self.open_engine(tmp_path, OpenOptions())) as second:
            with second.exclusive() as lock:
                other = Task(lambda: put(engine, {A: "other"}))
                assert other.still_runs()
                put(lock, {A: "holder"})
            other.finish()
            assert loaded(second.get(A)) == "other"

    @needs("exclusive")
    def test_who_waits_too_long_for_the_lock_gets_shelf_locked(self, engine: Engine) -> None:
        def wait(timeout: float | None = None) -> None:
            with engine.exclusive(timeout=timeout):
                pass

        with engine.exclusive():
            with pytest.raises(ShelfLocked):
                Task(lambda: wait(0.01)).finish()
            assert engine.owns_exclusive()
        Task(wait).finish()

    @needs("exclusive")
    def test_waits_end_at_the_timeout_of_the_engine(self, tmp_path: Path) -> None:
        place = tmp_path / "impatient"
        place.mkdir()
        with contextlib.closing(self.open_engine(place, OpenOptions(timeout=0.3))) as impatient:

            def lock() -> None:
                with impatient.exclusive():
                    pass

            with impatient.exclusive():
                with pytest.raises(ShelfLocked):
                    Task(lambda: put(impatient, {A: 1})).finish()
                with pytest.raises(ShelfLocked):
                    Task(lock).finish()
            assert contents(impatient) == []
            Task(lambda: put(impatient, {A: 1})).finish()

    @needs("exclusive")
    def test_exception_in_the_block_leaves_nothing_held(self, engine: Engine) -> None:
        def fail() -> None:
            with engine.exclusive() as lock:
                put(lock, {A: "committed"})
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert not engine.owns_exclusive()
        assert loaded(engine.get(A)) == "committed"
        Task(lambda: put(engine, {A: "other"})).finish()
        with engine.exclusive() as lock:
            put(lock, {B: "again"})
        assert contents(engine) == [(A, "other"), (B, "again")]
