"""What the lmdb engine keeps for those who watch: over flushes, closing, compaction, power cuts and time."""

from __future__ import annotations

import gc
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lmdb_proof import ALL, commits_of, fenced, opened

import coshelf
from coshelf import native
from coshelf.contract import Batch, Change, Engine, Position
from coshelf.contract.capabilities import Durability
from coshelf.engines.lmdb.engine import LmdbEngine
from coshelf.engines.lmdb.environment import Environment
from coshelf.engines.lmdb.watching import history, watch_state
from coshelf.engines.lmdb.watching.history import marker_in
from coshelf.engines.lmdb.watching.positions import place_of, position_of
from coshelf.errors import StorageError
from coshelf.keys import FIRST, LAST, decode, encode
from starting import environment

A = encode("a")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    coshelf.open(tmp_path / "w", mode=0o600).close()
    return tmp_path / "w"


def put(engine: Engine, key: Any, value: Any) -> None:
    engine.commit(Batch(puts={encode(key): pickle.dumps(value)}))


def told(changes: list[Change]) -> list[tuple[Any, ...]]:
    def said(change: Change) -> tuple[Any, ...]:
        value = [] if change.record is None else [pickle.loads(change.record)]
        return change.kind, decode(change.key) if change.key else None, *value

    return [said(change) for change in changes]


def since(engine: Engine, position: Position) -> list[tuple[Any, ...]]:
    """What is told after a position, up to now."""
    with engine.changes(ALL, position) as reader:
        return told(fenced(engine, reader))


def environment_of(engine: Engine) -> Environment:
    assert isinstance(engine, LmdbEngine)
    return engine._environment


def rows_kept(engine: Engine) -> int:
    with environment_of(engine).base.begin() as transaction:
        cursor = transaction.cursor()
        cursor.set_range(b"\x05")
        return sum(1 for _ in iter(lambda: cursor.key().startswith(b"\x05") and cursor.next(), False))


def let_time_pass(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    """As if the last watcher had gone a while ago."""
    watch = environment_of(engine).page.watch
    watch._put(528, bytes(8))


# --- flushes, closing, and opening again -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o660], ids=["private", "of a group"])
def test_overwritten_values_are_told_after_a_flush(tmp_path: Path, mode: int) -> None:
    with opened(tmp_path / "w", mode=mode) as engine:
        position = engine.position()
        for number in range(30):
            put(engine, number % 3, number)
            if number % 10 == 7:
                engine.sync()
        assert since(engine, position) == [("set", number % 3, number) for number in range(30)]


@pytest.mark.parametrize("mode", [0o600, 0o660], ids=["private", "of a group"])
def test_position_is_known_after_all_have_closed(tmp_path: Path, mode: int) -> None:
    with opened(tmp_path / "w", mode=mode) as engine:
        positions = [engine.position()]
    for number in range(4):
        with opened(tmp_path / "w") as engine:
            put(engine, "a", number)
            positions.append(engine.position())
    with opened(tmp_path / "w") as engine:
        for number, position in enumerate(positions):
            assert since(engine, position) == [("set", "a", each) for each in range(number, 4)]
    assert positions == sorted(set(positions))


def test_position_of_a_shelf_that_nobody_writes_is_known_later(path: Path) -> None:
    with opened(path) as engine:
        put(engine, "a", 1)
    with opened(path) as engine:
        position = engine.position()
    with opened(path) as engine:
        assert since(engine, position) == []


def test_compaction_loses_nothing_for_a_watcher(path: Path) -> None:
    with opened(path) as engine, engine.changes(ALL, engine.position()) as reader:
        start = engine.position()
        put(engine, "a", 1)
        found = fenced(engine, reader)
        put(engine, "a", 2)
        put(engine, "a", 3)
        assert isinstance(engine, LmdbEngine)
        engine.compact()
        put(engine, "a", 4)
        engine.sync()
        put(engine, "a", 5)
        found += fenced(engine, reader)
        assert told(found) == [("set", "a", number) for number in range(1, 6)]
        assert since(engine, start) == told(found)


def test_compaction_while_a_thread_waits_for_changes(path: Path) -> None:
    import threading

    with opened(path) as engine, engine.changes(ALL, engine.position()) as reader:
        found: list[Change] = []

        def collect() -> None:
            while len(found) < 3:
                found.extend(reader.read(None))

        thread = threading.Thread(target=collect, daemon=True)
        thread.start()
        assert isinstance(engine, LmdbEngine)
        for number in range(3):
            put(engine, "a", number)
            engine.compact()
        thread.join(60)
        assert told(found) == [("set", "a", number) for number in range(3)]


def test_table_takes_the_place_of_a_log_without_loss(path: Path) -> None:
    program = f"import coshelf\nwith coshelf.open({str(path)!r}) as shelf: shelf['a'] = 'python'"
    with opened(path, flush_interval=60.0) as engine, engine.changes(ALL, engine.position()) as reader:
        put(engine, "a", 0)
        engine.sync()
        for number in range(1, 5):
            put(engine, "a", number)
        engine.commit(Batch(puts={A: pickle.dumps(5), encode("b"): pickle.dumps(5)}))
        put(engine, "a", 6)
        assert not environment_of(engine).page.delta.is_clean()
        subprocess.run([sys.executable, "-c", program], check=True, env={**environment(), "COSHELF_NATIVE": "0"})
        put(engine, "a", 7)
        assert told(fenced(engine, reader)) == [
            *(("set", "a", number) for number in range(6)), ("set", "b", 5), ("set", "a", 6), ("set", "a", "python"),
            ("set", "a", 7),
        ]  # fmt: skip


# --- large commits, and what the engine removes ----------------------------------------------------------------------


def test_large_commits_and_clears_are_whole(path: Path) -> None:
    with opened(path) as engine, engine.changes(ALL, engine.position()) as reader:
        many = {encode(number): pickle.dumps("x" * 300) for number in range(3_000)}
        engine.commit(Batch(puts=many))
        engine.commit(Batch(puts={A: pickle.dumps(1)}))
        engine.commit(Batch(clears=((FIRST, LAST),), puts={A: pickle.dumps(2)}))
        commits = commits_of(fenced(engine, reader))
        assert [len(commit) for commit in commits] == [3_000, 1, 3_001]
        assert {change.key for change in commits[0]} == set(many)
        assert [change for change in commits[2] if change.kind == "set"] == [
            Change(A, "set", commits[2][0].position, engine.record(A))
        ]


def test_value_too_large_to_be_kept_is_that_of_its_entry(path: Path) -> None:
    with opened(path) as engine, engine.changes(ALL, engine.position()) as reader:
        for number in range(2):
            put(engine, "a", str(number) * 200_000)
        engine.sync()
        first, second = fenced(engine, reader)
        assert first.record is None  # only the latest state is known
        assert second.record is not None
        assert pickle.loads(second.record) == "1" * 200_000


def test_expired_entries_are_told_when_a_flush_removes_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from coshelf.system import clock

    with (
        opened(path, flush_interval=0.01) as engine,
        coshelf.open(path, flush_interval=0.01) as shelf,
        engine.changes(ALL, engine.position()) as reader,
    ):
        shelf.set("a", 1, expire=60)
        fenced(engine, reader)
        now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: now + 100_000_000)
        put(engine, "b", 2)
        found: list[Change] = []
        while not any(change.kind == "expired" for change in found):
            found += reader.read(60)
        assert told(found) == [("set", "b", 2), ("expired", "a")]


@pytest.mark.parametrize("durability", ["interval", "commit"])
def test_evicted_entries_are_told_as_deleted(tmp_path: Path, durability: Durability) -> None:
    with (
        coshelf.open(tmp_path / "w", max_entries=10, evict="fifo", flush_interval=0.01, durability=durability) as shelf,
        opened(tmp_path / "w", flush_interval=0.01) as engine,
        engine.changes(ALL, engine.position()) as reader,
    ):
        model = set()
        for number in range(100):
            shelf[str(number)] = number
        found: list[Change] = []
        while len(model) != 10 or found[-1].kind != "deleted":
            some = reader.read(60)
            found += some
            for change in some:
                if change.kind == "set":
                    model.add(decode(change.key))
                else:
                    model.remove(decode(change.key))
        assert [change.kind for change in found].count("set") == 100
        assert model == set(shelf)


def test_what_has_expired_makes_room_at_the_limits_while_somebody_watches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coshelf.system import clock

    with (
        coshelf.open(tmp_path / "w", max_entries=3, evict="expired", flush_interval=60.0) as shelf,
        opened(tmp_path / "w", flush_interval=60.0) as engine,
        engine.changes(ALL, engine.position()) as reader,
    ):
        for number in range(3):
            shelf.set(str(number), number, expire=60)
        shelf.sync()
        now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: now + 100_000_000)
        shelf["next"] = 1
        found = [(change.kind, decode(change.key)) for change in fenced(engine, reader)]
        keys = ["0", "1", "2"]
        assert [key for kind, key in found if kind == "set"] == [*keys, "next"]
        assert sorted(key for kind, key in found if kind == "expired") == keys
        assert len(found) == 7


def test_reader_that_is_collected_keeps_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path, flush_interval=60.0) as engine:
        reader = engine.changes(ALL, engine.position())
        watch = environment_of(engine).page.watch
        assert watch.look(may_end=False).least is not None
        del reader
        gc.collect()
        assert watch.look(may_end=False).least is None


# --- gaps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o660], ids=["private", "of a group"])
def test_commits_that_nobody_watched_are_one_gap(tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path / "w", mode=mode, flush_interval=60.0) as engine:
        old = engine.position()
        put(engine, "a", 1)
        engine.sync()
        let_time_pass(monkeypatch, engine)
        put(engine, "a", 2)
        engine.sync()
        put(engine, "a", 3)
        engine.sync()
        assert rows_kept(engine) == 0
        assert not environment_of(engine).page.watch.is_on
        with engine.changes(ALL, old) as reader:
            put(engine, "a", 4)
            found = fenced(engine, reader)
        assert told(found) == [("gap", None), ("set", "a", 4)]
        assert since(engine, found[0].position) == [("set", "a", 4)]


@pytest.mark.parametrize("mode", [0o600, 0o660], ids=["private", "of a group"])
def test_watching_that_begins_again_never_hides_a_hole(
    tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "w", mode=mode, flush_interval=60.0) as engine:
        old = engine.position()
        put(engine, "a", 1)
        engine.sync()
        let_time_pass(monkeypatch, engine)
        put(engine, "a", 2)
        engine.sync()  # nobody watches
        put(engine, "a", 3)
        again = engine.position()
        put(engine, "a", 4)
        engine.sync()
        put(engine, "a", 5)
        assert since(engine, again) == [("set", "a", 4), ("set", "a", 5)]
        first, *others = since(engine, old)
        assert first == ("gap", None)
        assert others[-2:] == [("set", "a", 4), ("set", "a", 5)]


def test_only_a_tail_is_kept_after_the_last_watcher(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_TAIL_BYTES", 3_000)
    with opened(path, flush_interval=60.0) as engine:
        start = engine.position()
        with engine.changes(ALL, start) as slow:
            for number in range(100):
                put(engine, "a", number)
                if number % 10 == 0:
                    engine.sync()
            engine.sync()
            assert rows_kept(engine) == 101  # the marker, too
            assert [value for _, _, value in told(fenced(engine, slow))] == list(range(100))
        put(engine, "a", 100)
        engine.sync()
        kept = rows_kept(engine) - 1
        assert 20 < kept < 100
        found = since(engine, start)
        assert found[0] == ("gap", None)
        assert [value for _, _, value in found[1:]] == list(range(102 - kept, 101))  # and the fence


def test_watcher_that_reads_too_slowly_gets_a_gap_at_last(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_MOST_BYTES", 20_000)
    with opened(path, flush_interval=60.0) as engine, engine.changes(ALL, engine.position()) as slow:
        for number in range(100):
            put(engine, number, "x" * 1_000)
            engine.sync()
        found = told(fenced(engine, slow))
        assert found[0] == ("gap", None)
        assert [key for _, key, *_ in found[1:]] == list(range(100))[-len(found) + 1 :]
        assert 10 < len(found) < 25


def test_damaged_row_of_changes_is_a_gap(path: Path) -> None:
    with opened(path, flush_interval=60.0) as engine:
        position = engine.position()
        put(engine, "a", 1)
        put(engine, "a", 2)
        engine.sync()
        base = environment_of(engine).base
        with base.writing() as transaction:
            cursor = transaction.cursor()
            assert cursor.set_range(b"\x05\0")
            transaction.put(cursor.key(), cursor.value()[:-1] + b"?")
            transaction.commit()
        put(engine, "a", 3)
        assert since(engine, position) == [("gap", None), ("set", "a", 3)]


# --- other timelines -------------------------------------------------------------------------------------------------


def lose_power(path: Path) -> None:
    """As after a power cut: the sidecars are from another boot, or gone."""
    shutil.rmtree(path.with_name(f".{path.name}.coshelf"))


def _lost_position(path: Path, lost: int) -> tuple[int, int]:
    """Two positions of a process that died: a durable one, and one of commits that a power cut then takes back."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        with opened(path, flush_interval=60.0) as engine:
            engine.position()
            put(engine, "a", "durable")
            engine.sync()
            durable = engine.position()
            for number in range(lost):
                put(engine, "a", number)
            os.write(write, repr((durable, engine.position())).encode())
            os.kill(os.getpid(), 9)
    os.close(write)
    durable, position = eval(os.read(read, 1_000))
    os.close(read)
    os.waitpid(child, 0)
    return durable, position


def test_position_of_lost_commits_is_recognised_though_its_number_comes_again(path: Path) -> None:
    durable, position = _lost_position(path, 10)
    lose_power(path)
    with opened(path, flush_interval=60.0) as engine:
        assert since(engine, position)[0] == ("gap", None)  # and from now on changes are kept
        for number in range(30):
            put(engine, "b", number)
        assert place_of(engine.position()).number > place_of(position).number
        assert since(engine, position)[0] == ("gap", None)
        engine.sync()
        assert since(engine, position)[0] == ("gap", None)
        assert since(engine, durable) == [("set", "b", number) for number in range(30)]


def test_position_goes_on_after_a_death_without_a_power_cut(path: Path) -> None:
    durable, position = _lost_position(path, 10)
    with opened(path, flush_interval=60.0) as engine:
        put(engine, "b", 1)
        assert since(engine, position) == [("set", "b", 1)]
        assert since(engine, durable) == [*(("set", "a", number) for number in range(10)), ("set", "b", 1)]


@pytest.mark.parametrize("way", ["cp", "backup"])
def test_copy_that_is_put_back_is_recognised(path: Path, way: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with coshelf.open(path) as shelf, opened(path) as engine:
        put(engine, "a", 1)
        before = engine.position()
        if way == "backup":
            shelf.backup(copy)
    if way == "cp":
        shutil.copy(path, copy)
    with opened(path) as engine:
        for number in range(5):
            put(engine, "a", number)
        position = engine.position()
    os.replace(copy, path)
    with opened(path) as engine:
        engine.position()  # from now on changes are kept
        for number in range(20):
            put(engine, "b", number)
        found = since(engine, position)
        assert found[0] == ("gap", None)
        expected = [("set", "b", number) for number in range(20)]
        assert since(engine, before) == (expected if way == "cp" else [("gap", None), *expected])


def test_salvaged_shelf_knows_no_position(path: Path, tmp_path: Path) -> None:
    with opened(path) as engine:
        put(engine, "a", 1)
        position = engine.position()
        put(engine, "a", 2)
    coshelf.salvage(path, tmp_path / "salvaged")
    with opened(tmp_path / "salvaged") as engine:
        assert since(engine, position) == [("gap", None)]


def test_position_of_the_future_is_refused(path: Path) -> None:
    with opened(path) as engine:
        era, number = place_of(engine.position())
        with pytest.raises(ValueError, match="no position"):
            engine.changes(ALL, position_of(era, number + 1))


def test_history_is_no_part_of_the_entries(path: Path) -> None:
    with coshelf.open(path) as shelf, opened(path) as engine, engine.changes(ALL, engine.position()):
        for number in range(50):
            shelf[str(number % 7)] = number
        shelf.sync()
        assert len(shelf) == 7
        assert list(shelf) == [str(number) for number in range(7)]
        assert shelf.check().ok
    assert coshelf.check(path).ok
    with coshelf.open(path) as shelf:
        assert len(shelf) == 7


# --- who watches -----------------------------------------------------------------------------------------------------


def in_child(work: Callable[[], None]) -> int:
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def test_reader_in_a_forked_child_goes_on_by_itself(path: Path) -> None:
    with opened(path) as engine, engine.changes(ALL, engine.position()) as reader:
        put(engine, "a", 1)

        def work() -> None:
            put(engine, "a", 2)
            assert told(fenced(engine, reader)) == [("set", "a", 1), ("set", "a", 2)]

        assert in_child(work) == 0
        assert told(fenced(engine, reader)) == [("set", "a", 1), ("set", "a", 2)]


def test_dead_watcher_keeps_nothing_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path, flush_interval=60.0) as engine:
        child = os.fork()
        if not child:
            engine.changes(ALL, engine.position())
            os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
        watch = environment_of(engine).page.watch
        assert watch.is_on
        monkeypatch.setattr(watch_state, "TAIL", 0.0)
        monkeypatch.setattr(watch_state.WatchState.renew, "__defaults__", (0.0,))
        let_time_pass(monkeypatch, engine)
        for number in range(3):
            put(engine, "a", number)
            engine.sync()
        assert not watch.is_on
        assert rows_kept(engine) == 0


def test_reader_with_flag_r_is_told(path: Path) -> None:
    with opened(path, flag="r") as reading, reading.changes(ALL, reading.position()) as reader, opened(path) as engine:
        put(engine, "a", 1)
        engine.sync()
        assert told(fenced(engine, reader)) == [("set", "a", 1)]


def test_more_processes_than_places_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from coshelf.engines.lmdb.watching.watch_state import WatchState

    monkeypatch.setattr(WatchState, "take_place", lambda *_: None)
    with opened(path) as engine:
        position = engine.position()
        with pytest.raises(StorageError, match="processes watch"):
            engine.changes(ALL, position)
        put(engine, "a", 1)
    with opened(path) as engine:
        assert engine.record(A) is not None


def test_many_readers_share_the_place_of_their_process(path: Path) -> None:
    with opened(path, flush_interval=60.0) as engine:
        readers = [engine.changes(ALL, engine.position()) for _ in range(300)]
        put(engine, "a", 1)
        engine.sync()
        assert all(told(reader.read(60)) == [("set", "a", 1)] for reader in readers)
        for reader in readers:
            reader.close()


def test_marker_names_each_era_once(path: Path) -> None:
    for number in range(5):
        with opened(path) as engine:
            position = engine.position()
            put(engine, "a", number)
            engine.sync()
            put(engine, "a", number)
    with opened(path) as engine, environment_of(engine).base.begin() as transaction:
        marker = marker_in(transaction)
        assert marker is not None
        assert len(marker.eras) == 5
        assert marker.knows(*place_of(position))
        assert not marker.knows(place_of(position).era, 1)


@pytest.mark.skipif(not native.in_use, reason="a log needs the module in C")
def test_waiting_costs_nothing_where_nobody_watches(path: Path) -> None:
    with opened(path, flush_interval=60.0) as engine:
        for number in range(10):
            put(engine, "a", number)
            engine.sync()
        assert rows_kept(engine) == 0
