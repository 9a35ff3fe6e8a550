"""Waiting for turns and items on PostgreSQL: the server wakes those that wait."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from postgresql import Postgresql

from coshelf.contract import QUEUES, Batch, OpenOptions
from coshelf.engines import open_engine
from coshelf.engines.leases.rows import MEMBERS, TOKENS, line_key
from coshelf.engines.postgresql.turn_bells import TurnBell
from coshelf.keys import encode_element
from coshelf.testing.contract.task import PATIENCE, Task

LINE = line_key(b"door")
ITEM = QUEUES[0] + encode_element("jobs") + b"A1"
OTHER = QUEUES[0] + encode_element("other") + b"A1"


@pytest.fixture
def engines(postgresql: Postgresql) -> Iterator[tuple[Any, Any]]:
    url = postgresql.url()
    closing = contextlib.closing
    with closing(open_engine(url, OpenOptions())) as one, closing(open_engine(url, OpenOptions())) as other:
        yield one, other


def until_it_listens(bell: TurnBell) -> int:
    """The sequence number of a bell for which the server is listened to."""
    end = time.monotonic() + PATIENCE
    while not bell._bells.is_listening:
        assert time.monotonic() < end
        bell.wait(bell.sequence(), 0.1)
    return bell.sequence()


@pytest.mark.parametrize("key", [LINE, ITEM])
def test_waiting_caller_is_woken_by_a_commit(engines: tuple[Any, Any], key: bytes) -> None:
    waiter, writer = engines
    bell = waiter.doorbell(key)
    for batch in (
        Batch(puts={key: b"1"}),
        Batch(puts={key: b"1", key + b"1": b"2"}),
        Batch(puts={key: b"1", b"\x10a": b"2"}, deletes=frozenset((key + b"1",))),
        Batch(deletes=frozenset((key,))),
    ):
        sequence = until_it_listens(bell)
        waiting = Task(lambda seen=sequence: bell.wait(seen, PATIENCE))  # type: ignore[misc]
        writer.commit(batch)
        waiting.finish()
        assert bell.sequence() > sequence


def test_bell_rings_for_its_own_line_or_queue_alone(engines: tuple[Any, Any]) -> None:
    waiter, writer = engines
    of_items, of_others = waiter.doorbell(ITEM), waiter.doorbell(OTHER)
    others = until_it_listens(of_others)
    items = of_items.sequence()
    writer.commit(Batch(puts={OTHER: b"1", b"\x10a": b"1", LINE: b"1", TOKENS: b"1"}))
    writer.commit(Batch(puts={ITEM: b"1"}))
    of_items.wait(items, PATIENCE)
    of_others.wait(others, PATIENCE)
    assert (of_items.sequence(), of_others.sequence()) == (items + 1, others + 1)


def test_commits_announce_nothing_while_nobody_waits(postgresql: Postgresql, engines: tuple[Any, Any]) -> None:
    _, writer = engines
    with psycopg.connect(postgresql.admin_url, autocommit=True) as session:
        session.execute(f'LISTEN "coshelf_turns_{writer.store_id.hex()}"')
        for key in (b"\x10a", MEMBERS[0] + b"1", TOKENS, LINE, ITEM):
            writer.commit(Batch(puts={key: b"1"}))
        lock = int.from_bytes(writer.store_id[8:16], "little", signed=True)
        session.execute("SELECT pg_advisory_lock_shared(%s::bigint)", (lock,))
        for key in (b"\x10a", MEMBERS[0] + b"1", TOKENS, ITEM):
            writer.commit(Batch(puts={key: b"1"}))
        told = next(session.notifies(timeout=PATIENCE, stop_after=1))
        assert told.payload == ITEM[:-2].hex()


def test_bell_rings_again_after_its_session_was_lost(postgresql: Postgresql, engines: tuple[Any, Any]) -> None:
    waiter, writer = engines
    bell = waiter.doorbell(LINE)
    sequence = until_it_listens(bell)
    pid = waiter._bells._connection.info.backend_pid
    with psycopg.connect(postgresql.admin_url, autocommit=True) as session:
        session.execute("SELECT pg_terminate_backend(%s)", (pid,))
    bell.wait(sequence, PATIENCE)  # what was announced meanwhile is lost
    assert bell.sequence() > sequence
    sequence = until_it_listens(bell)
    writer.commit(Batch(puts={LINE: b"1"}))
    bell.wait(sequence, PATIENCE)
    assert bell.sequence() > sequence


def test_callers_look_after_pauses_behind_a_pooler(engines: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A pooler tells its clients another number of the session."""
    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", 1)
    waiter, writer = engines
    holder, waiting = writer.turns().join(b"door"), waiter.turns().join(b"door")
    came = Task(lambda: waiting.wait(PATIENCE))
    while waiter._bells._retry_at == 0:
        time.sleep(0.01)
    assert not waiter._bells.is_listening
    holder.leave()
    assert came.finish()
    waiting.leave()
