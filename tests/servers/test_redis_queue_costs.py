"""What queues and other rows of coshelf's own cost on Redis: commands and bytes, whatever else is stored."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from valkey_servers import Server

import coshelf
from coshelf.contract import QUEUES, RESERVED, TURNS, Batch, Engine, OpenOptions
from coshelf.coordination.queue_rows import QueueRows
from coshelf.engines import open_engine
from coshelf.engines.redis.bell import SubscribedBell
from coshelf.engines.redis.client import Sent
from coshelf.keys import FIRST, LAST, encode

BODY = b"\x80\x04N."


class Costs:
    """The requests of all clients of this process, and the bytes of the replies."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands = 0
        self.bytes = 0
        inner = Sent.replies

        def counted(sent: Sent) -> list[Any]:
            replies = inner(sent)
            self.commands += len(replies)
            self.bytes += sum(map(_size, replies))
            return replies

        monkeypatch.setattr(Sent, "replies", counted)

    def of(self, do: Callable[[], object]) -> tuple[int, int]:
        """How many commands something sends, and how many bytes come back."""
        before = self.commands, self.bytes
        do()
        return self.commands - before[0], self.bytes - before[1]


def _size(reply: Any) -> int:
    if isinstance(reply, list):
        return sum(map(_size, reply))
    return len(reply) if isinstance(reply, bytes) else 8


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> Costs:
    return Costs(monkeypatch)


@pytest.fixture
def engine(server: str) -> Iterator[Engine]:
    with contextlib.closing(open_engine(server, OpenOptions())) as engine:
        yield engine


def row(number: int, head: bytes = QUEUES[0] + b"q") -> bytes:
    return head + number.to_bytes(4, "big")


def test_a_long_queue_costs_what_a_short_one_costs(server: str, costs: Costs) -> None:
    with coshelf.open(server) as shelf:
        jobs = shelf.queue("jobs")

        def use() -> None:
            jobs.put("x" * 100)
            assert jobs.get() == "x" * 100
            with jobs.take() as job:
                assert job == "x" * 100

        jobs.put_many(["x" * 100] * 5)
        use()  # the server knows the scripts, and the process that takes has its row
        short = costs.of(use)
        jobs.put_many(["x" * 100] * 2000)
        use()
        long = costs.of(use)
        assert long[0] <= short[0] + 4  # a look at the takers may come in between
        assert long[1] < short[1] + 1000
        assert costs.of(lambda: len(jobs))[1] <= 16


def test_a_put_of_a_queue_is_one_commit_and_its_number(server: str, costs: Costs) -> None:
    with coshelf.open(server) as shelf:
        jobs = shelf.queue("jobs")
        jobs.put(1)
        assert costs.of(lambda: jobs.put(2))[0] == 2


def test_bells_are_rung_by_one_command(engine: Engine, costs: Costs) -> None:
    engine.turns().ring(b"door")
    assert costs.of(lambda: engine.turns().ring(b"door"))[0] == 1
    assert not list(engine.scan(*TURNS))


def test_reading_rows_of_a_range_costs_what_it_returns(engine: Engine, costs: Costs) -> None:
    engine.commit(Batch(puts={row(number): BODY for number in range(3000)}))
    list(engine.scan(row(0), row(1)))
    for at in (0, 1500, 2995):
        read, size = costs.of(partial(list, engine.scan(row(at), row(at + 5))))
        assert read == 1
        assert size < 5 * 100
        read, size = costs.of(partial(engine.first, row(at), row(3000)))
        assert read == 1
        assert size < 100
        read, size = costs.of(partial(list, engine.scan(row(at), row(at + 5), keys_only=True)))
        assert read == 1
        assert size < 5 * 20
        assert costs.of(partial(engine.count, row(at), row(3000)))[0] == 1


def test_rows_of_coshelf_are_read_in_order_beside_entries(engine: Engine) -> None:
    rows = [row(number, head) for head in (b"\x06", b"\x08", QUEUES[0] + b"q") for number in range(150)]
    entries = sorted(encode(number) for number in range(150))
    engine.commit(Batch(puts=dict.fromkeys([*entries, *rows], BODY)))
    every = rows + entries
    assert [key for key, _ in engine.scan(b"", LAST)] == every
    assert [key for key, _ in engine.scan(b"", LAST, reverse=True, keys_only=True)] == every[::-1]
    for start, stop in ((rows[10], rows[444]), (rows[449], entries[3]), (rows[3], rows[3]), (entries[5], LAST)):
        expected = [key for key in every if start <= key < stop]
        assert [key for key, _ in engine.scan(start, stop)] == expected
        assert [key for key, _ in engine.scan(start, stop, reverse=True)] == expected[::-1]
        assert [key for page in engine.key_pages(start, stop) for key in page] == expected
        assert engine.count(start, stop) == len(expected)
        found = engine.first(start, stop)
        assert (found and found[0]) == (expected[0] if expected else None)
    engine.commit(Batch(deletes=frozenset(rows[:200])))
    assert [key for start, stop in RESERVED for key, _ in engine.scan(start, stop)] == rows[200:]


@pytest.mark.parametrize("where", ["server", "cluster"])
def test_ranges_of_rows_are_cleared_and_nothing_else(request: pytest.FixtureRequest, where: str, costs: Costs) -> None:
    url = request.getfixturevalue(where) + ("?buckets=4" if where == "cluster" else "")
    with contextlib.closing(open_engine(url, OpenOptions())) as engine:
        rows = [row(number) for number in range(2500)]
        engine.commit(Batch(puts=dict.fromkeys(rows, BODY)))
        for number in range(10):
            engine.commit(Batch(puts={encode(number): BODY}))
        batch = Batch(clears=((rows[10], rows[2490]),), puts={row(5000): BODY})
        assert costs.of(lambda: engine.commit(batch))[0] <= 2  # the second one for a script that is new to the server
        left = [*rows[:10], *rows[2490:], row(5000)]
        assert [key for key, _ in engine.scan(b"", FIRST)] == left
        assert [engine.get(key) is not None for key in (rows[9], rows[10], rows[2489], rows[2490])] == [
            True,
            False,
            False,
            True,
        ]
        assert engine.count(FIRST, LAST) == 10
        engine.commit(Batch(clears=((rows[5], LAST),)))
        assert [key for key, _ in engine.scan(b"", LAST)] == rows[:5]
        engine.commit(Batch(clears=((b"", FIRST), (FIRST, LAST))))
        assert not list(engine.scan(b"", LAST))


@pytest.mark.parametrize("where", ["server", "cluster"])
def test_bells_of_lines_and_of_entries_ring_apart(request: pytest.FixtureRequest, where: str) -> None:
    url = request.getfixturevalue(where)
    with contextlib.closing(open_engine(url, OpenOptions())) as engine:
        queues = QueueRows("jobs", engine.capabilities)
        bells = [engine.doorbell(key) for key in (queues.start, TURNS[0] + b"x", encode("a"), b"\x06claim")]
        assert all(isinstance(bell, SubscribedBell) for bell in bells)

        def rung(batch: Batch) -> list[bool]:
            before = [bell.sequence() for bell in bells]
            engine.commit(batch)
            return [bell.sequence() != number for bell, number in zip(bells, before, strict=True)]

        lines, others, both = [True, True, False, False], [False, False, True, True], [True] * 4
        own, entry = {row(1): BODY}, {encode("a"): BODY}
        assert rung(Batch(puts=own)) == lines
        assert rung(Batch(puts={TURNS[0] + b"x": BODY})) == lines
        assert rung(Batch(puts=entry)) == others
        assert rung(Batch(puts={b"\x06claim": BODY})) == others
        assert rung(Batch(puts=own | entry)) == both
        assert rung(Batch(puts=entry, deletes=frozenset(own))) == both
        assert rung(Batch(deletes=frozenset(own))) == lines
        assert rung(Batch(clears=(QUEUES,))) == lines
        assert rung(Batch(clears=((FIRST, LAST),))) == others
        assert rung(Batch(clears=((b"", LAST),))) == both


def test_who_waits_for_a_queue_is_told_of_its_commits_alone(server: str, server_base: Server) -> None:
    with contextlib.closing(open_engine(server, OpenOptions())) as engine:
        bell = engine.turns().bell(b"q")
        bell.sequence()  # subscribes
        base = b"coshelf:{" + server.rpartition("/")[2].encode() + b"}:"
        channels = dict(server_base.client.pubsub_numsub(base + b"bell", base + b"line-bell"))
        assert channels == {base + b"bell": 0, base + b"line-bell": 1}
        sequence = bell.sequence()
        for number in range(20):
            engine.commit(Batch(puts={encode(number): BODY}))
        assert bell.sequence() == sequence
        engine.commit(Batch(puts={row(1): BODY}))
        bell.wait(sequence, None)
        assert bell.sequence() == sequence + 1
