"""Compacting makes the file small, keeps everything, and never leaves half a file."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support import Crew

import coshelf

KEPT: dict[Any, Any] = {"a": 1, ("t", 2): [3], "k" * 1_500: "long", "large": b"x" * 50_000}


def fill(shelf: Any) -> None:
    shelf.update(dict.fromkeys(range(5_000), "x" * 100))
    shelf.update(KEPT)
    with shelf.transaction() as transaction:
        for number in range(5_000):
            del transaction[number]


def test_compacting_shrinks_and_keeps_everything(path: str) -> None:
    with coshelf.open(path, mode=0o640) as shelf:
        fill(shelf)
        engine = shelf._handle.engine
        store_id, trusted = engine.row.store_id, engine.distrust() is None
        version = engine.get(b"\x30a").version
        done = shelf.compact()
        assert done.before > 500_000
        assert done.after < 150_000
        assert done.after == os.stat(path).st_size
        assert dict(shelf) == KEPT
        assert engine.get(b"\x30a").version == version
        assert engine.row.store_id == store_id
        assert trusted and engine.distrust() is None
        shelf["more"] = 1
        assert engine.get(b"\x30more").version > version
        assert os.stat(path).st_mode & 0o777 == 0o640
    assert os.listdir(os.path.dirname(path)) == ["a.shelf"]
    assert coshelf.check(path).ok
    with coshelf.open(path) as shelf:
        assert dict(shelf) == KEPT | {"more": 1}


def test_thread_that_is_about_to_open_the_delta_is_waited_for(path: str) -> None:
    entered, opened = threading.Event(), []

    def commit() -> None:
        environment = insides(shelf)
        with environment.inside():
            entered.set()
            while environment.is_open:  # until the file is about to be replaced
                time.sleep(0.001)
            opened.append(environment.deltas.current())

    with coshelf.open(path) as shelf:
        fill(shelf)
        thread = threading.Thread(target=commit)
        thread.start()
        assert entered.wait(300)
        shelf.compact()
        thread.join(300)
        assert opened
        shelf["after"] = 1
        assert shelf["after"] == 1


def insides(shelf: Any) -> Any:
    return shelf._handle.engine._environment


def test_other_handles_and_threads_of_the_process_go_on(path: str) -> None:
    stop = threading.Event()
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with coshelf.open(path) as mine:
                turn = 0
                while not stop.is_set():
                    turn += 1
                    mine["thread", number] = turn
                    assert mine["thread", number] == turn
                    mine.modify("count", lambda count: count + 1, default=0)
                assert mine["thread", number] == turn
        except BaseException as error:
            failed.append(error)

    with coshelf.open(path) as shelf:
        fill(shelf)
        waiter = threading.Thread(target=lambda: shelf.wait("awaited"))
        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)] + [waiter]
        for thread in threads:
            thread.start()
        for _ in range(10):
            shelf.compact()
        stop.set()
        shelf["awaited"] = 1
        for thread in threads:
            thread.join()
        assert not failed
        assert {key: shelf[key] for key in KEPT} == KEPT
    assert coshelf.check(path).ok


def test_compacting_is_refused_while_another_process_has_it_open(path: str, crew: Crew) -> None:
    with coshelf.open(path) as shelf:
        fill(shelf)
        other = crew.start("with coshelf.open(path) as shelf:\n    say('open'); hear()\n    shelf['b'] = 2", path)
        other.expect("open")
        with pytest.raises(coshelf.ShelfLocked, match=rf"pid {other.pid}[^$]*backup"):
            shelf.compact()
        shelf["a"] = 2
        other.tell()
        other.finish()
        shelf.compact()
        assert dict(shelf) == KEPT | {"a": 2, "b": 2}


def test_compacting_is_refused_while_a_snapshot_is_held(path: str) -> None:
    with coshelf.open(path) as shelf:
        fill(shelf)
        with shelf.snapshot() as then:
            with pytest.raises(coshelf.ShelfLocked, match="snapshot"):
                shelf.compact()
            assert dict(then) == KEPT
        shelf.compact()
        assert dict(shelf) == KEPT


def test_compacting_is_refused_where_it_makes_no_sense(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
        with pytest.raises(coshelf.Unsupported):
            shelf.sub("users").compact()
        with shelf.transaction(), pytest.raises(coshelf.TransactionInProgress):
            shelf.compact()
        os.link(path, path + ".another name")
        with pytest.raises(coshelf.OpenUnderAnotherName):
            shelf.compact()
        os.unlink(path + ".another name")
        assert dict(shelf) == {"a": 1}
    with coshelf.open(path, "r") as shelf, pytest.raises(coshelf.ReadOnlyShelf):
        shelf.compact()
    with coshelf.open("memory:") as shelf, pytest.raises(coshelf.Unsupported, match="memory"):
        shelf.compact()


def test_damaged_shelf_is_not_compacted(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update(KEPT | {"marked": "here I am"})
    content = Path(path).read_bytes().replace(b"here I am", b"here 2 am")
    Path(path).write_bytes(content)
    with coshelf.open(path) as shelf:
        with pytest.raises(coshelf.DamagedRecord):
            shelf.compact()
        assert shelf["a"] == 1


SOURCE = Path(coshelf.__file__).parent.joinpath(*"engines lmdb files compaction.py".split())
POINTS = re.findall(r'reach\("([^"]+)"\)', SOURCE.read_text())
COMPACT = "with coshelf.open(path) as shelf:\n    shelf.compact()"


@pytest.mark.parametrize("point", POINTS)
def test_killed_while_compacting_it_is_whole(
    point: str, path: str, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    with coshelf.open(path) as shelf:
        fill(shelf)
    before = os.stat(path).st_size
    monkeypatch.setenv("COSHELF_FAILPOINTS", f"{point}=kill")
    assert crew.start(COMPACT, path).process.wait() == -9
    monkeypatch.delenv("COSHELF_FAILPOINTS")
    assert (os.stat(path).st_size < before) == (point == "compact-replaced")
    assert coshelf.check(path).ok
    with coshelf.open(path) as shelf:
        assert dict(shelf) == KEPT
        shelf.compact()
    assert os.listdir(os.path.dirname(path)) == ["a.shelf"]


def test_who_opens_it_at_that_moment_finds_the_new_file(
    path: str, crew: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with coshelf.open(path) as shelf:
        fill(shelf)
    pause = tmp_path / "pause"
    monkeypatch.setenv("COSHELF_FAILPOINTS", f"compact-alone=pause:{pause}")
    compacting = crew.start(COMPACT, path)
    while not pause.exists():
        assert compacting.process.poll() is None
    monkeypatch.delenv("COSHELF_FAILPOINTS")
    opening = crew.start("say('go')\nwith coshelf.open(path) as shelf:\n    shelf['late'] = 1", path)
    opening.expect("go")
    pause.unlink()
    compacting.finish()
    opening.finish()
    with coshelf.open(path) as shelf:
        assert dict(shelf) == KEPT | {"late": 1}
