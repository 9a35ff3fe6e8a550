"""Watchers of the lmdb engine that come back, are killed, or watch while all others come and go."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from lmdb_proof import ALL, PATIENCE, Writer, fenced, opened, refute

import coshelf
from coshelf.contract import Change
from starting import as_user, environment

_COLLECT = """
import base64, json, os, sys
from coshelf.contract import OpenOptions
from coshelf.engines import open_engine
from coshelf.keys import FIRST, LAST
path, since, book = sys.argv[1:]
engine = open_engine(path, OpenOptions(flush_interval=0.02))
since = engine.position() if since == "now" else int(since)
reader = engine.changes(((FIRST, LAST),), since)
print("ready", since, flush=True)
file = os.open(book, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
encoded = lambda some: None if some is None else base64.b64encode(some).decode()
while True:
    some = reader.read(None)
    if some:
        lines = [json.dumps([encoded(each.key), each.kind, each.position, encoded(each.record)]) for each in some]
        os.write(file, ("\\n".join(lines) + "\\n").encode())
"""


class Collector:
    """A process that watches, and notes each list of changes in a book by one write."""

    def __init__(self, shelf: Path, since: int | str, book: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _COLLECT, str(shelf), str(since), str(book)],
            stdout=subprocess.PIPE, env=environment(), text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        word, position = self._process.stdout.readline().split()
        assert word == "ready"
        self.since = int(position)

    def kill(self) -> None:
        self._process.kill()
        assert self._process.wait(PATIENCE) == -signal.SIGKILL
        assert self._process.stdout is not None
        self._process.stdout.close()


def changes_in(book: Path) -> list[Change]:
    import base64

    def decoded(text: str | None) -> bytes | None:
        return None if text is None else base64.b64decode(text)

    lines = book.read_text().splitlines() if book.exists() else []
    return [
        Change(decoded(key) or b"", kind, position, decoded(record))
        for key, kind, position, record in map(json.loads, lines)
    ]


def test_watcher_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    path, book, chance = tmp_path / "w", tmp_path / "book", random.Random(8)
    coshelf.open(path).close()
    collector = Collector(path, "now", book)
    since: int | str = collector.since
    writers = [Writer(path, f"w{number}", 8, 80) for number in range(2)]
    for _ in range(3):
        end = time.monotonic() + PATIENCE
        wanted = len(changes_in(book)) + chance.randrange(20, 60)
        while len(changes_in(book)) < wanted and time.monotonic() < end and writers[0].runs:
            time.sleep(0.01)
        collector.kill()
        found = changes_in(book)
        since = found[-1].position if found else since
        collector = Collector(path, since, book)
    for writer in writers:
        assert writer.end() == 0
    collector.kill()
    found = changes_in(book)
    with opened(path) as engine, engine.changes(ALL, found[-1].position if found else since) as reader:
        found += fenced(engine, reader)
    refute(found, writers, path, {})


def test_nothing_is_lost_while_all_close_and_open(tmp_path: Path) -> None:
    path = tmp_path / "w"
    with opened(path) as engine:
        since = engine.position()
    writers: list[Writer] = []
    found: list[Change] = []
    for number in range(4):
        writers.append(Writer(path, f"w{number}", 9, 25))
        writers[-1].end()  # the shelf is closed by now
        if number % 2:
            with opened(path) as engine, engine.changes(ALL, since) as reader:
                found += reader.read(0)
                since = found[-1].position if found else since
    with opened(path) as engine, engine.changes(ALL, since) as reader:
        found += fenced(engine, reader)
    refute(found, writers, path, {})


def test_handle_that_is_closed_ends_the_wait_of_its_reader(tmp_path: Path) -> None:
    with opened(tmp_path / "w"):
        engine_context = opened(tmp_path / "w")
        engine = engine_context.__enter__()
        reader = engine.changes(ALL, engine.position())
        ended: list[str] = []

        def wait() -> None:
            try:
                while True:
                    reader.read(None)
            except coshelf.errors.ShelfClosed:
                ended.append("closed")

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        engine.close()
        thread.join(PATIENCE)
        assert ended == ["closed"]


def test_interrupt_ends_the_wait_and_loses_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "w") as engine, engine.changes(ALL, engine.position()) as reader:

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)  # again, should it come before the wait
            with pytest.raises(KeyboardInterrupt):
                while True:
                    reader.read(None)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        with coshelf.open(tmp_path / "w") as shelf:
            shelf["a"] = 1
        assert [change.kind for change in fenced(engine, reader)] == ["set"]


def test_handler_may_wake_the_reader_that_it_interrupts(tmp_path: Path) -> None:
    with opened(tmp_path / "w") as engine, engine.changes(ALL, engine.position()) as reader:
        before = signal.signal(signal.SIGALRM, lambda *_: reader.wake())
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
            assert reader.read(None) == []
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_user_without_rights_to_the_sidecars_has_no_changes() -> None:
    program = """
import sys
from coshelf.contract import OpenOptions
from coshelf.engines import open_engine
print(open_engine(sys.argv[1], OpenOptions(flag="r")).capabilities.changes)
"""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "w")
        with coshelf.open(path, mode=0o644) as shelf:
            shelf["a"] = 1
            shelf.sync()
            done = subprocess.run(
                [sys.executable, *as_user(65534, program), str(path)],
                env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False,
            )  # fmt: skip
    assert done.stdout.strip() == "None", done.stderr
