"""Changes: what commits did, in their order, none lost and none twice."""

from __future__ import annotations

import contextlib
import pickle
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from coshelf.contract import ABSENT, Batch, Change, Changes, Engine, OpenOptions, Position
from coshelf.errors import Conflict, ShelfClosed
from coshelf.keys import FIRST, LAST, decode, encode
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A, B, C, D, body, contents, put
from coshelf.testing.contract.expiry import shelf_over
from coshelf.testing.contract.key_samples import long_keys
from coshelf.testing.contract.requirements import needs
from coshelf.testing.contract.task import PATIENCE, Task

__all__ = ["ChangesTests"]

ALL = ((FIRST, LAST),)
FENCE = encode("~fence")
"""The key that a test stores last. When its change has come, all others have."""

_WRITE_ELSEWHERE = """
import pickle, sys
from coshelf.contract import Batch
from coshelf.engines import open_engine
target, options, entries = pickle.load(sys.stdin.buffer)
engine = open_engine(target, options)
for key, body in entries:
    engine.commit(Batch(puts={key: body}))
engine.close()
"""


@contextlib.contextmanager
def watching(engine: Engine, since: Position | None = None, ranges: Any = ALL) -> Iterator[Changes]:
    """A reader of changes, from now on or from a position on."""
    reader = engine.changes(ranges, engine.position() if since is None else since)
    with reader:
        if since is None:  # between the two calls, a background thread may have committed
            assert [change.kind for change in reader.read(0)] in ([], ["gap"])
        yield reader


def collected(reader: Changes, is_enough: Callable[[list[Change]], bool]) -> list[Change]:
    """The changes up to those with which it is enough."""
    found: list[Change] = []
    end = time.monotonic() + PATIENCE
    while not is_enough(found):
        assert time.monotonic() < end, f"still waiting for changes after these: {found[-10:]}"
        found += reader.read(0.5)
    return found


def up_to_fence(engine: Engine, reader: Changes) -> list[Change]:
    """The changes up to now. The fence is stored for that, and left out."""
    put(engine, {FENCE: "fence"})
    found = collected(reader, lambda found: any(change.key == FENCE for change in found))
    return [change for change in found if change.key != FENCE]


def told(changes: list[Change]) -> list[tuple[Any, ...]]:
    """Kinds, keys and values of changes, in order; the values of what was stored."""
    return [
        (change.kind, decode(change.key) if change.key else None)
        if change.record is None
        else (change.kind, decode(change.key), pickle.loads(change.record))
        for change in changes
    ]


def by_commits(changes: list[Change]) -> list[list[tuple[Any, ...]]]:
    """What :func:`told` says, one list a commit. The changes of one commit are in order of their keys."""
    commits: list[tuple[Position, list[Change]]] = []
    for change in changes:
        if not commits or commits[-1][0] != change.position:
            commits.append((change.position, []))
        commits[-1][1].append(change)
    assert len({position for position, _ in commits}) == len(commits), "the changes of one commit are apart"
    return [told(sorted(some, key=lambda change: change.key)) for _, some in commits]


class ChangesTests(EngineTests):
    @needs("changes")
    def test_changes_lead_from_one_content_to_the_next(self, engine: Engine) -> None:
        chance = random.Random(17)
        keys = [*long_keys(engine.capabilities.largest_key)[::5], A, B, C, *(encode(number) for number in range(-3, 3))]
        put(engine, dict.fromkeys(keys[::2], "before"))
        model: dict[bytes, Any] = dict(contents(engine))
        with watching(engine) as reader:
            for step in range(self.some(30)):
                start, stop = sorted(chance.sample(keys, 2))
                clears = ((start, stop),) if chance.random() < 0.2 else ()
                deletes = frozenset(chance.sample(keys, chance.randrange(4)))
                puts = {key: body(step) for key in chance.sample(keys, chance.randrange(4)) if key not in deletes}
                engine.commit(Batch(clears=clears, deletes=deletes, puts=puts))
            for change in up_to_fence(engine, reader):
                assert change.kind in ("set", "deleted")
                if change.kind == "deleted":
                    model.pop(change.key, None)
                elif change.record is not None:
                    model[change.key] = pickle.loads(change.record)
                else:
                    model[change.key] = dict(contents(engine)).get(change.key)
        now = dict(contents(engine))
        del now[FENCE]
        assert {key: value for key, value in model.items() if value is not None} == now

    @needs("changes")
    def test_only_what_came_after_the_position_is_told(self, engine: Engine) -> None:
        put(engine, {A: 1})
        with watching(engine) as reader:
            put(engine, {B: 2})
            assert [change.key for change in up_to_fence(engine, reader)] == [B]

    @needs("changes=all")
    def test_what_is_committed_after_a_position_is_kept_for_the_first_reader(self, engine: Engine) -> None:
        put(engine, {A: 1})
        position = engine.position()
        put(engine, {B: 2})
        with watching(engine, position) as reader:
            assert told(up_to_fence(engine, reader)) == [("set", decode(B), 2)]

    @needs("changes")
    def test_only_the_ranges_are_told(self, engine: Engine) -> None:
        with watching(engine, ranges=((A, B), (C, C + b"\0"), (FENCE, LAST))) as reader:
            for key in (A, B, C, C + b"x", D, A + b"/1"):
                put(engine, {key: 1})
            found = [change.key for change in up_to_fence(engine, reader)]
            assert sorted(found) == [A, A + b"/1", C]

    @needs("changes")
    def test_reading_ends_at_its_timeout(self, engine: Engine) -> None:
        with watching(engine) as reader:
            assert Task(lambda: reader.read(0)).finish() == []
            assert Task(lambda: reader.read(0.01)).finish() == []

    @needs("changes")
    def test_waiting_reader_is_told_when_another_thread_commits(self, engine: Engine) -> None:
        with watching(engine) as reader:
            waiting = Task(lambda: collected(reader, bool))
            assert waiting.still_runs()
            put(engine, {A: 1})
            assert [change.key for change in waiting.finish()] == [A]

    @needs("changes")
    def test_reader_that_waits_can_be_woken(self, engine: Engine) -> None:
        with watching(engine) as reader:
            reader.wake()  # harmless if none waits
            reader.read(0)
            waiting = Task(lambda: reader.read(None))
            if waiting.still_runs():
                reader.wake()
            assert waiting.finish() == []
            put(engine, {A: 1})
            assert [change.key for change in up_to_fence(engine, reader)] == [A]

    @needs("changes")
    def test_closed_reader_is_refused(self, engine: Engine) -> None:
        with watching(engine) as reader:
            put(engine, {A: 1})
        reader.close()
        reader.wake()
        with pytest.raises(ShelfClosed):
            reader.read(0)

    @needs("changes")
    def test_several_readers_are_each_told(self, engine: Engine) -> None:
        with watching(engine) as first, watching(engine, ranges=((B, C), (FENCE, LAST))) as second:
            put(engine, {A: 1})
            put(engine, {B: 2})
            assert sorted(change.key for change in up_to_fence(engine, first)) == [A, B]
            put(engine, {C: 3})
            with watching(engine) as third:
                put(engine, {D: 4})
                assert [change.key for change in up_to_fence(engine, third)] == [D]
            found = collected(second, lambda found: FENCE in {change.key for change in found})
            assert found[0].key == B
            assert {change.key for change in found} == {B, FENCE}

    @needs("changes")
    def test_what_is_no_position_is_refused(self, engine: Engine) -> None:
        since: Any
        for since in ("\0 no position", -1, None, b"1"):
            with pytest.raises(ValueError, match="position"):
                engine.changes(ALL, since)

    @needs("changes")
    def test_who_comes_too_late_is_told_everything_or_one_gap(self, engine: Engine) -> None:
        since = engine.position()
        for number in range(20):
            put(engine, {encode(number): number})
        with watching(engine, since) as reader:
            found = up_to_fence(engine, reader)
        assert [change.kind for change in found[1:]] == ["set"] * len(found[1:])
        if found and found[0].kind == "gap":
            assert found[0].key == b""
            since = found.pop(0).position
        else:
            assert {decode(change.key) for change in found} == set(range(20))
        with watching(engine, since) as reader:
            assert told(up_to_fence(engine, reader)[: len(found)]) == told(found)

    @needs("changes", "expiry")
    def test_rows_of_coshelf_itself_are_not_told(self, engine: Engine) -> None:
        with watching(engine, ranges=((b"\0", LAST),)) as reader:
            shelf = shelf_over(engine)
            shelf.set("a", 1, expire=1_000)
            assert {change.key for change in up_to_fence(engine, reader)} == {A}

    @needs("changes", "expiry")
    def test_entries_that_are_removed_after_their_time_are_told_as_expired(self, engine: Engine) -> None:
        with self.moving_clock() as clock, watching(engine) as reader:
            shelf = shelf_over(engine)
            shelf.update({"a": 1, "b": 2}, expire=60)
            shelf["c"] = 3
            collected(reader, lambda found: {A, B, C} <= {change.key for change in found})
            clock.pass_by(60)
            shelf.expire()
            del shelf["c"]
            last = {change.key: change.kind for change in up_to_fence(engine, reader)}
        assert last == {A: "expired", B: "expired", C: "deleted"}

    # --- of every commit ---------------------------------------------------------------------------------------------

    @needs("changes=all")
    def test_every_commit_is_told_in_order(self, engine: Engine) -> None:
        with watching(engine) as reader:
            for number in range(3):
                put(engine, {A: number})
            engine.commit(Batch(deletes=frozenset((A,))))
            put(engine, {A: "again"})
            assert told(up_to_fence(engine, reader)) == [
                *(("set", "a", number) for number in range(3)),
                ("deleted", "a"),
                ("set", "a", "again"),
            ]

    @needs("changes=all", "checks=batch")
    def test_changes_of_one_commit_come_together(self, engine: Engine) -> None:
        put(engine, {A: 1, B: 1, C: 1, D: 1})
        with watching(engine) as reader:
            put(engine, {A: 2, B: 2})
            engine.commit(Batch(clears=((A, D),), puts={B: body(3)}, deletes=frozenset((D,))))
            put(engine, {A: 4, C: 4})
            assert by_commits(up_to_fence(engine, reader)) == [
                [("set", "a", 2), ("set", "b", 2)],
                [("deleted", "a"), ("set", "b", 3), ("deleted", "c"), ("deleted", "d")],
                [("set", "a", 4), ("set", "c", 4)],
            ]

    @needs("changes=all", "checks=batch")
    def test_update_of_thousands_is_one_commit(self, engine: Engine) -> None:
        many = self.some(3000)
        with watching(engine) as reader:
            put(engine, {encode(number): number for number in range(many)})
            found = collected(reader, bool)
        assert sorted(decode(change.key) for change in found) == list(range(many))
        assert len({change.position for change in found}) == 1

    @needs("changes=all", "checks=batch")
    def test_commit_that_is_refused_is_not_told(self, engine: Engine) -> None:
        put(engine, {A: 1})
        with watching(engine) as reader:
            with pytest.raises(Conflict):
                engine.commit(Batch(checks={A: ABSENT}, puts={A: body(2)}))
            engine.commit(Batch())
            assert up_to_fence(engine, reader) == []

    @needs("changes=all", "exclusive")
    def test_commits_under_the_exclusive_lock_are_told(self, engine: Engine) -> None:
        with watching(engine) as reader:
            with engine.exclusive() as lock:
                put(lock, {A: 1})
                put(lock, {A: 2, B: 2})
            assert by_commits(up_to_fence(engine, reader)) == [[("set", "a", 1)], [("set", "a", 2), ("set", "b", 2)]]

    @needs("changes=all")
    def test_position_of_a_change_is_where_to_go_on(self, engine: Engine) -> None:
        with watching(engine) as reader:
            since = engine.position()
            for number in range(5):
                put(engine, {encode(number): number})
            found = up_to_fence(engine, reader)
            assert len(found) == 5
            for at, position in enumerate([since, *(change.position for change in found)]):
                with watching(engine, position) as again:
                    assert up_to_fence(engine, again)[: 5 - at] == found[at:]

    @needs("changes=all")
    def test_reader_that_comes_back_misses_nothing(self, engine: Engine) -> None:
        with watching(engine) as reader:
            put(engine, {A: 1})
            position = collected(reader, bool)[-1].position
        for number in range(2, 5):
            put(engine, {A: number})
        with watching(engine, position) as again:
            assert told(up_to_fence(engine, again)) == [("set", "a", number) for number in range(2, 5)]

    @needs("changes=all")
    def test_slow_reader_misses_nothing(self, engine: Engine) -> None:
        many = self.some(500)
        with watching(engine) as reader:
            for number in range(many):
                put(engine, {encode(number % 7): number})
            found = up_to_fence(engine, reader)
        assert told(found) == [("set", number % 7, number) for number in range(many)]

    @needs("changes=all")
    def test_commits_of_many_threads_are_told_once_each(self, engine: Engine, eager_threads: None) -> None:
        each = self.some(60)

        def write(name: int) -> None:
            for number in range(each):
                put(engine, {encode((name, number)): number, A: (name, number)})

        with watching(engine) as reader:
            writers = [Task(partial(write, name)) for name in range(3)]
            found = collected(reader, lambda found: len(found) >= 6 * each)
            for writer in writers:
                writer.finish()
            assert up_to_fence(engine, reader) == []
        values = [pickle.loads(change.record) for change in found if change.key == A and change.record is not None]
        for name in range(3):
            assert [number for other, number in values if other == name] == list(range(each))
        assert dict(contents(engine))[A] == values[-1]

    @needs("changes", "persistent", "shared=processes")
    def test_commits_through_another_handle_are_told(self, engine: Engine, tmp_path: Path) -> None:
        with contextlib.closing(self.open_engine(tmp_path, OpenOptions())) as other, watching(engine) as reader:
            waiting = Task(lambda: collected(reader, bool))
            put(other, {A: 1})
            assert [change.key for change in waiting.finish()] == [A]
            put(engine, {B: 2})
            with watching(other) as there:
                put(engine, {C: 3})
                assert [change.key for change in up_to_fence(other, there)] == [C]
            assert {change.key for change in up_to_fence(engine, reader)} == {B, C}

    @needs("changes", "shared=processes")
    def test_commits_of_another_process_are_told(self, engine: Engine) -> None:
        entries = [(encode(number), body(number)) for number in range(self.some(50))]
        with watching(engine) as reader:
            given = pickle.dumps((*engine.reopen_arguments(), entries))
            program = [sys.executable, "-c", _WRITE_ELSEWHERE]
            subprocess.run(program, input=given, check=True, timeout=PATIENCE)  # noqa: S603 (the program is above)
            found = up_to_fence(engine, reader)
        assert sorted(change.key for change in found) == sorted(key for key, _ in entries)
