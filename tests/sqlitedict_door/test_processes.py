"""Several processes and threads with one file: writers, forks, kills."""

from __future__ import annotations

import os
import pickle
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import Crew

from coshelf.sqlitedict import SqliteDict


def in_children(number: int, work: Callable[[int], object]) -> list[str]:
    """What forked children find that run together: a result, or the name of an error and the first line of its text."""
    children = []
    for name in range(number):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                found = str(work(name))
            except BaseException as error:
                found = f"{type(error).__name__}: {error}".splitlines()[0]
            os.write(writing, found.encode())
            os._exit(0)
        os.close(writing)
        children.append((pid, reading))
    said = []
    for pid, reading in children:
        with open(reading, encoding="utf-8") as pipe:
            said.append(pipe.read())
        assert os.waitpid(pid, 0)[1] == 0
    return said


def in_child(work: Callable[[], object]) -> str:
    return in_children(1, lambda _: work())[0]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "db")


@pytest.mark.parametrize("journal_mode", ["DELETE", "WAL"])
@pytest.mark.parametrize("autocommit", [True, False])
def test_writers_take_turns_and_each_step_is_one(path: str, journal_mode: str, autocommit: bool) -> None:
    table = SqliteDict(path, journal_mode=journal_mode, autocommit=autocommit, timeout=60)

    def store(name: int) -> object:
        for number in range(40):
            table[f"{name} {number}"] = number
            table.commit()
            table.setdefault(f"first {number}", name)
            table.commit()
        return [table[f"first {number}"] for number in range(40)]

    def take(name: int) -> object:
        taken = sum(table.pop(f"first {number}", None) is not None for number in range(40))
        table.commit()
        while True:
            try:
                table.popitem()
            except KeyError:
                return taken
            table.commit()
            taken += 1

    firsts = in_children(3, store)
    assert firsts[0].startswith("[")
    assert firsts[0] == firsts[1] == firsts[2]
    assert len(table) == 3 * 40 + 40
    assert sum(map(int, in_children(3, take))) == 3 * 40 + 40


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("journal_mode", ["DELETE", "WAL"])
def test_parent_and_forked_child_go_on(path: str, journal_mode: str, autocommit: bool) -> None:
    table = SqliteDict(path, journal_mode=journal_mode, autocommit=autocommit)
    table["a"] = 1
    table.commit()

    def work() -> object:
        table["child"] = 2
        table.commit()
        return table["a"]

    assert in_child(work) == "1"
    table["parent"] = 3
    table.commit()
    assert dict(table) == {"a": 1, "child": 2, "parent": 3}
    table.close()


def test_relative_path_means_the_same_file_after_a_fork(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(os.path.dirname(path))
    table = SqliteDict("db", autocommit=True)
    table["a"] = 1
    monkeypatch.chdir("/")
    assert in_child(lambda: table["a"]) == "1"
    assert table["a"] == 1


def test_uncommitted_changes_stay_with_the_parent(path: str) -> None:
    table = SqliteDict(path)
    table["a"] = 1
    assert in_child(lambda: table["a"]).startswith("OperationalError: ")
    assert "uncommitted changes" in in_child(lambda: SqliteDict(path)["a"])
    assert in_child(table.close) == "None"
    table["b"] = 2
    table.commit()
    assert in_child(lambda: dict(table)) == "{'a': 1, 'b': 2}"


def test_child_that_ends_in_order_does_not_undo_changes_of_the_parent(crew: Crew, path: str) -> None:
    worker = crew.start(
        """
        from coshelf.sqlitedict import SqliteDict
        table = SqliteDict(path)
        table.update((str(number), "x" * 1000) for number in range(5000))
        if os.fork() == 0:
            sys.exit()
        os.wait()
        table["last"] = 1
        table.commit()
        say(len(table))
        """,
        path,
    )
    assert worker.finish() == ["5001"]
    assert len(SqliteDict(path, flag="r")) == 5001


def test_table_in_memory_is_copied_by_a_fork() -> None:
    table = SqliteDict(":memory:")
    table["a"] = 1

    def work() -> object:
        table["b"] = 2
        return sorted(table)

    assert in_child(work) == "['a', 'b']"
    assert list(table) == ["a"]


def test_temporary_file_is_removed_by_its_maker_only() -> None:
    table = SqliteDict(autocommit=True)
    table["a"] = 1

    def work() -> object:
        found = table["a"]
        table.close()
        return found

    assert in_child(work) == "1"
    assert table["a"] == 1
    assert os.path.exists(table.filename)
    table.close()
    assert not os.path.exists(table.filename)


def test_fork_waits_for_a_call_of_another_thread(path: str) -> None:
    entered, leave = threading.Event(), threading.Event()
    table = SqliteDict(path, autocommit=True)
    table["a"] = 1

    def slow(stored: bytes) -> Any:
        entered.set()
        leave.wait(60)
        return pickle.loads(stored)

    decode, table.decode = table.decode, slow
    thread = threading.Thread(target=table.pop, args=("a",))
    thread.start()
    assert entered.wait(60)
    assert in_child(lambda: SqliteDict(path)["a"]).startswith("OperationalError: ")
    leave.set()
    thread.join()
    table.decode = decode
    assert in_child(lambda: dict(table)) == "{}"


@pytest.mark.parametrize("journal_mode", ["DELETE", "WAL"])
def test_killed_writer_leaves_what_it_committed(crew: Crew, path: str, journal_mode: str) -> None:
    worker = crew.start(
        """
        from coshelf.sqlitedict import SqliteDict
        table = SqliteDict(path, journal_mode=sys.argv[2])
        table["a"] = 1
        table.commit()
        table.conn.execute("PRAGMA cache_size = 1")  # so that changes reach the file before they are committed
        table.update((str(number), "x" * 1000) for number in range(2000))
        say("written")
        hear()
        """,
        path,
        journal_mode,
    )
    worker.expect("written")
    worker.kill()
    assert dict(SqliteDict(path, flag="r")) == {"a": 1}
    with SqliteDict(path, journal_mode=journal_mode) as table:
        table["b"] = 2
    assert dict(SqliteDict(path, flag="r")) == {"a": 1, "b": 2}
    assert [name for name in os.listdir(os.path.dirname(path)) if name.endswith(("-journal", "-wal"))] == []


def test_threads_share_an_object() -> None:
    table = SqliteDict(autocommit=True)
    table["taken"] = 0
    errors: list[Exception] = []

    def work(name: int) -> None:
        try:
            for number in range(50):
                table[f"{name} {number}"] = number
                assert table[f"{name} {number}"] == number
                table.setdefault(f"first {number}", name)
            assert sum(1 for key in table if key.startswith(f"{name} ")) == 50
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(table) == 1 + 4 * 50 + 50
    table.close()


def test_pickled_object_opens_the_same_file(path: str) -> None:
    table = SqliteDict(path, tablename='a "b"', flag="n", journal_mode="WAL", timeout=2)
    table["a"] = 1
    table.commit()
    again = pickle.loads(pickle.dumps(table))
    assert dict(again) == {"a": 1}
    again["b"] = 2
    again.commit()
    assert dict(table) == {"a": 1, "b": 2}
    assert again.conn.timeout == 2
    reader = pickle.loads(pickle.dumps(SqliteDict(path, tablename='a "b"', flag="r")))
    with pytest.raises(RuntimeError):
        reader["c"] = 3
    for lone in (SqliteDict(), SqliteDict(":memory:")):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(lone)


def test_object_that_is_forgotten_closes_its_file(path: str) -> None:
    table = SqliteDict(path)
    table["a"] = 1
    del table
    with sqlite3.connect(path, timeout=0) as database:
        database.execute("DELETE FROM unnamed")
    database.close()
