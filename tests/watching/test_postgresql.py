"""Changes on PostgreSQL: writers, watchers, servers and connections that end, and commits side by side."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from postgresql import Postgresql, new_server, postgresql
from tcp_proxy import TcpProxy
from watchers import check_all_told, watching
from writers import Work, writing

import coshelf
from coshelf.contract import Batch, OpenOptions
from coshelf.engines import open_engine
from coshelf.engines.postgresql.tables import Statements
from coshelf.errors import ShelfLocked, ShelfPermissionError
from coshelf.keys import FIRST, LAST, encode
from coshelf.testing.contract.task import Task

__all__ = ["postgresql"]

ALL = ((FIRST, LAST),)
BODY = b"\x80\x04N."
WORK = Work(keys=7, counts_every=2, timeout=60)


@pytest.fixture
def mortal() -> Iterator[Postgresql]:
    """A server for one test to kill, which flushes each commit before it answers."""
    server = new_server(durable=True)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def standby() -> Iterator[Postgresql]:
    server = new_server(durable=True)
    yield server
    server.remove()


def admin(server: Postgresql) -> psycopg.Connection[Any]:
    return psycopg.connect(server.admin_url, autocommit=True)


def rows_of_history(server: Postgresql) -> int:
    with admin(server) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM coshelf_changes").fetchall()
    return int(count)


# --- processes and servers that are killed ---------------------------------------------------------------------------


def test_writers_that_are_killed_leave_no_change_untold(postgresql: Postgresql) -> None:
    url = postgresql.url()
    with watching(url) as watcher, writing(url, 3) as writers, coshelf.open(url) as shelf:
        for number in range(3):
            watcher.more(40)
            writers.kill(number)
        check_all_told(watcher.to_the_end(shelf), shelf)


def test_watcher_that_is_killed_goes_on_where_it_was(postgresql: Postgresql) -> None:
    url = postgresql.url()
    with coshelf.open(url) as shelf, watching(url) as watcher, writing(url, 2, WORK) as writers:
        watcher.more(40)
        seen = watcher.kill()
        writers.see_them_go_on()
        with watching(url, seen[-1].version if seen else watcher.begin) as again:
            again.more(40)
            all_told = writers.finish()
            check_all_told(seen + again.to_the_end(shelf), shelf, all_told)


def test_server_that_is_killed_and_comes_back_loses_no_change(mortal: Postgresql) -> None:
    url = mortal.url()
    with watching(url) as watcher, writing(url, 3, WORK) as writers, coshelf.open(url) as shelf:
        watcher.more(40)
        mortal.kill()
        mortal.start()
        writers.see_them_go_on()
        all_told = writers.finish()
        check_all_told(watcher.to_the_end(shelf), shelf, all_told)


@pytest.mark.long
def test_promoted_standby_that_has_all_commits_goes_on_without_a_gap(mortal: Postgresql, standby: Postgresql) -> None:
    standby.follow(mortal)
    standby.start()
    mortal.make_synchronous()
    url = mortal.url(others=[standby])
    with watching(url) as watcher, writing(url, 2, WORK) as writers, coshelf.open(url) as shelf:
        watcher.more(40)
        mortal.kill()
        standby.promote()
        writers.see_them_go_on()
        all_told = writers.finish()
        check_all_told(watcher.to_the_end(shelf), shelf, all_told)


def test_promoted_standby_that_has_lost_commits_is_told_as_a_gap(mortal: Postgresql, standby: Postgresql) -> None:
    standby.follow(mortal)
    standby.start()
    with coshelf.open(mortal.url(others=[standby])) as shelf, shelf.watch(timeout=300) as watch:
        shelf["a"] = 1
        assert next(watch).value == 1
        standby.wait_for("SELECT FROM coshelf_changes WHERE key = '0a'")
        standby.kill()
        shelf["a"] = "lost"
        shelf["b"] = "lost"
        assert [next(watch).value for _ in range(2)] == ["lost", "lost"]
        mortal.kill()
        standby.start()
        standby.promote()
        # As many commits as were lost, and one more: their numbers are given out a second time.
        for number in range(3):
            shelf["c"] = number
        assert next(watch).kind == "gap"
        assert dict(shelf) == {"a": 1, "c": 2}
        shelf["d"] = 4
        told = []
        while not told or told[-1] != ("d", 4):
            change = next(watch)
            told.append((change.key, change.value))
        assert told in ([("d", 4)], *([("c", n) for n in range(first, 3)] + [("d", 4)] for first in range(3)))


def test_connections_that_are_cut_lose_no_change_and_double_none(postgresql: Postgresql) -> None:
    url = postgresql.url()
    with TcpProxy(postgresql.port) as proxy:
        behind = url.replace(f":{postgresql.port}/", f":{proxy.port}/")
        with watching(behind) as watcher, writing(url, 2, WORK) as writers, coshelf.open(url) as shelf:
            for _ in range(6):
                watcher.more(20)
                proxy.cut()
            all_told = writers.finish()
            check_all_told(watcher.to_the_end(shelf), shelf, all_told)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_reader_in_a_forked_child_is_its_own(postgresql: Postgresql) -> None:
    with (
        contextlib.closing(open_engine(postgresql.url(), OpenOptions())) as engine,
        engine.changes(ALL, engine.position()) as reader,
    ):
        assert reader.read(0.01) == []
        child = os.fork()
        if child == 0:
            try:
                engine.commit(Batch(puts={encode("child"): b"\x80\x04N."}))
                os._exit([change.key for change in reader.read(60)] != [encode("child")])
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert [change.key for change in reader.read(60)] == [encode("child")]
        engine.commit(Batch(puts={encode("parent"): b"\x80\x04N."}))
        assert [change.key for change in reader.read(60)] == [encode("parent")]


# --- commits side by side --------------------------------------------------------------------------------------------


def test_watching_begins_after_the_commits_that_do_not_know_of_it(postgresql: Postgresql) -> None:
    """A statement that has not seen the flag commits later. So the position is not given out before its end."""
    with contextlib.closing(open_engine(postgresql.url(), OpenOptions())) as engine:
        lock, number = engine._shelf.lock, engine._shelf.number  # type: ignore[attr-defined]
        with admin(postgresql) as writer:
            writer.execute("BEGIN")
            parameters = (number, encode("a"), 7, None, BODY + b"\0" * 12, lock, number)
            assert writer.execute(Statements.PUT, parameters).rowcount == 1
            position = Task(engine.position)
            postgresql.wait_for("SELECT FROM coshelf_watched WHERE NOT settled")
            other = Task(engine.position)  # which finds that the other one has not finished
            assert position.still_runs()
            assert other.still_runs()
            writer.execute("COMMIT")
        since = position.finish()
        assert other.finish() == since
        assert engine.get(encode("a")) is not None
        with engine.changes(ALL, since) as reader:
            engine.commit(Batch(puts={encode("b"): BODY}))
            assert [change.key for change in reader.read(60)] == [encode("b")]


def test_statement_that_waits_with_an_old_snapshot_is_waited_for(postgresql: Postgresql) -> None:
    with contextlib.closing(open_engine(postgresql.url(), OpenOptions())) as engine:
        with admin(postgresql) as holder:
            holder.execute("SELECT pg_advisory_lock(%s::bigint)", (engine._shelf.lock,))  # type: ignore[attr-defined]
            put = Task(lambda: engine.commit(Batch(puts={encode("a"): BODY})))
            postgresql.wait_for("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            position = Task(engine.position)
            assert position.still_runs()
        put.finish()
        with engine.changes(ALL, position.finish()) as reader:
            assert engine.get(encode("a")) is not None
            assert reader.read(0) == []


def test_watching_that_cannot_begin_says_what_it_waits_for(postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.url(), timeout=0.3) as shelf, admin(postgresql) as writer:
        writer.execute("BEGIN")
        writer.execute("DELETE FROM coshelf_entries WHERE false")
        with pytest.raises(ShelfLocked, match="1 transactions that began before"):
            _ = shelf.version
        writer.execute("COMMIT")
        assert shelf.version


def test_order_of_changes_is_that_of_the_versions_of_each_key(postgresql: Postgresql) -> None:
    url = postgresql.url()
    with watching(url) as watcher, writing(url, 4, Work(keys=1, counts_every=1)) as writers, coshelf.open(url) as shelf:
        watcher.more(60)
        all_told = writers.finish()
        check_all_told(watcher.to_the_end(shelf), shelf, all_told)


# --- the history -----------------------------------------------------------------------------------------------------


def test_commits_that_nobody_watches_write_no_history(postgresql: Postgresql) -> None:
    before = rows_of_history(postgresql) if _has_tables(postgresql) else 0
    with coshelf.open(postgresql.url()) as shelf:
        shelf["a"] = 1
        shelf.update({number: number for number in range(10)})
        with shelf.transaction() as transaction:
            transaction["b"] = transaction["a"]
            del transaction[3]
        del shelf["a"]
        shelf.clear()
    assert rows_of_history(postgresql) == before


def _has_tables(server: Postgresql) -> bool:
    with admin(server) as connection:
        return connection.execute("SELECT to_regclass('coshelf_changes')").fetchall() != [(None,)]


@pytest.mark.parametrize("operation", ["set", "update", "replace", "del", "transaction", "clear"])
def test_process_that_does_not_know_of_the_watcher_finds_out(postgresql: Postgresql, operation: str) -> None:
    url = postgresql.url()
    with coshelf.open(url) as shelf, coshelf.open(url) as other:
        other.update(a=1, b=2)  # by statements for a shelf that nobody watches
        with shelf.watch(timeout=300) as watch:
            if operation == "set":
                other["a"] = 2
            elif operation == "update":
                other.update(a=2)
            elif operation == "replace":
                assert other.replace("a", 1, 2)
            elif operation == "del":
                del other["a"]
            elif operation == "transaction":
                with other.transaction() as transaction:
                    transaction["a"] = transaction["b"]
            else:
                other.clear()
            change = next(watch)
            gone = operation in ("del", "clear")
            assert (change.key, change.kind, change.value) == ("a", "deleted" if gone else "set", None if gone else 2)
            if operation == "clear":
                assert next(watch).key == "b"
            assert watch.next(0) is None


def test_what_is_not_there_is_deleted_without_a_change(postgresql: Postgresql) -> None:
    with (
        contextlib.closing(open_engine(postgresql.url(), OpenOptions())) as engine,
        engine.changes(ALL, engine.position()) as reader,
    ):
        engine.commit(Batch(deletes=frozenset((encode("none"),))))
        assert reader.read(0) == []
        engine.commit(Batch(puts={encode("a"): BODY}))
        assert [change.key for change in reader.read(60)] == [encode("a")]


def test_history_that_nobody_has_renewed_begins_anew_with_a_gap(postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.url()) as shelf, admin(postgresql) as connection:
        version = shelf.version
        connection.execute("UPDATE coshelf_watched SET until = 'epoch'")  # as if so much time had passed
        shelf["a"] = 1
        with shelf.watch(since=version, timeout=300) as watch:
            assert next(watch).kind == "gap"
            shelf["a"] = 2
            assert next(watch).value == 2


def test_who_comes_after_the_tail_is_told_one_gap_and_goes_on(postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.url()) as shelf, admin(postgresql) as connection, shelf.watch(timeout=300) as watch:
        for number in range(20):
            shelf["a"] = number
        # As renewals do, but for the number.
        connection.execute("UPDATE coshelf_watched SET first = number - 5 WHERE until > now()")
        connection.execute(
            "DELETE FROM coshelf_changes c USING coshelf_watched w WHERE c.shelf = w.shelf AND c.number < w.first"
        )
        assert next(watch).kind == "gap"
        shelf["a"] = "after"
        assert next(watch).value == "after"
        assert watch.next(0) is None


def test_renewal_trims_the_history_and_keeps_what_a_reader_needs(
    postgresql: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coshelf.engines.postgresql import histories

    monkeypatch.setattr(histories, "_RENEW", histories._RENEW.replace("- 10000", "- 10"))
    with coshelf.open(postgresql.url()) as shelf, admin(postgresql) as connection:
        number = shelf._handle.engine._shelf.number  # type: ignore[attr-defined]
        version = shelf.version
        for value in range(30):
            shelf["a"] = value
        connection.execute(
            "UPDATE coshelf_watched SET until = now() + interval '40 seconds' WHERE shelf = %s", (number,)
        )
        with shelf.watch(timeout=300) as watch:  # which renews it
            shelf["a"] = "next"
            assert next(watch).value == "next"
        numbers = connection.execute("SELECT count(DISTINCT number) FROM coshelf_changes WHERE shelf = %s", (number,))
        assert numbers.fetchall() == [(12,)]
        with shelf.watch(since=version, timeout=300) as watch:
            assert next(watch).kind == "gap"


def test_value_that_is_too_large_for_the_history_is_read_when_it_is_wanted(postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.url()) as shelf, shelf.watch(timeout=300) as watch:
        shelf["a"] = b"x" * 100_000
        assert next(watch).value == b"x" * 100_000
    with (
        contextlib.closing(open_engine(postgresql.url(), OpenOptions())) as engine,
        engine.changes(ALL, engine.position()) as reader,
    ):
        engine.commit(Batch(puts={encode("a"): b"x" * 8_193, encode("b"): b"x" * 8_000}))
        assert [change.record is None for change in reader.read(60)] == [True, False]


def test_commit_of_thousands_is_told_as_a_whole(postgresql: Postgresql) -> None:
    with (
        contextlib.closing(open_engine(postgresql.url(), OpenOptions())) as engine,
        engine.changes(ALL, engine.position()) as reader,
    ):
        engine.commit(Batch(puts={encode(number): BODY for number in range(2_500)}))
        engine.commit(Batch(puts={encode("a"): BODY}))
        changes = reader.read(60)
        assert len([change for change in changes if change.position == changes[0].position]) == 2_500
        while len(changes) < 2_501:
            changes += reader.read(60)
        assert [change.key for change in changes[2_500:]] == [encode("a")]


# --- rights ----------------------------------------------------------------------------------------------------------


def test_watching_needs_no_right_to_write_entries(postgresql: Postgresql) -> None:
    url = postgresql.url()
    with coshelf.open(url) as shelf, admin(postgresql) as connection:
        connection.execute("CREATE ROLE watcher LOGIN")
        try:
            connection.execute("GRANT SELECT ON coshelf_shelves, coshelf_entries, coshelf_changes TO watcher")
            with coshelf.open(url.replace("postgres@", "watcher@"), "r") as reader:
                with pytest.raises(ShelfPermissionError, match="coshelf_watched"):
                    reader.watch()
                connection.execute("GRANT SELECT, INSERT, UPDATE ON coshelf_watched TO watcher")
                connection.execute("GRANT INSERT, DELETE ON coshelf_changes TO watcher")
                with reader.watch(timeout=300) as watch:
                    shelf["a"] = 1
                    assert next(watch).value == 1
        finally:
            connection.execute("DROP OWNED BY watcher; DROP ROLE watcher")
