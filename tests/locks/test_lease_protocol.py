"""Leases step by step: several members in one process, on engines that lose replies."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from coshelf.contract import Batch, OpenOptions
from coshelf.engines.leases import members
from coshelf.engines.leases.lines import Lines
from coshelf.engines.leases.members import Member, Patience
from coshelf.engines.leases.rows import TOKENS, packed
from coshelf.engines.memory import MemoryEngine
from coshelf.errors import CoshelfError, OutcomeUnknown, Unavailable
from coshelf.testing.contract.task import PATIENCE, Task
from coshelf.testing.moving_clock import MovingClock

LEASE = 10.0


class Clock:
    """The clock of leases, moved by the test."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Neither of the two members sees that the other one is a process of this machine."""
    clock = Clock()
    monkeypatch.setattr(members, "now", clock)
    monkeypatch.setattr(members, "_is_alive", lambda record: None)
    return clock


@pytest.fixture
def engine() -> Iterator[MemoryEngine]:
    engine = MemoryEngine(OpenOptions())
    yield engine
    engine.close()


def test_member_that_renews_lives_on(clock: Clock, engine: MemoryEngine) -> None:
    member, patience = Member(engine, LEASE), Patience(engine, LEASE)
    for _ in range(20):
        assert patience.living({member.id}) == {member.id}
        clock.time += LEASE / 3
        assert not member.is_lost
        member.renew()


def test_member_that_does_not_renew_is_over_after_a_lease(clock: Clock, engine: MemoryEngine) -> None:
    member, patience = Member(engine, LEASE), Patience(engine, LEASE)
    clock.time += LEASE * 0.8  # the lease is counted from the first look
    assert patience.living({member.id}) == {member.id}
    clock.time += LEASE
    assert patience.living({member.id}) == {member.id}
    clock.time += 0.1
    assert patience.living({member.id}) == set()
    member.renew()
    assert member.is_lost


def test_member_counts_itself_as_lost_before_others_do(clock: Clock, engine: MemoryEngine) -> None:
    member, patience = Member(engine, LEASE), Patience(engine, LEASE)
    assert patience.living({member.id}) == {member.id}
    while patience.living({member.id}):
        was_lost = member.is_lost
        clock.time += LEASE / 50
    assert was_lost


def test_lease_that_ended_does_not_begin_again(clock: Clock, engine: MemoryEngine) -> None:
    member = Member(engine, LEASE)
    clock.time += LEASE
    member.renew()
    assert member.is_lost


def test_member_whose_row_was_removed_is_lost_at_its_next_renewal(clock: Clock, engine: MemoryEngine) -> None:
    member = Member(engine, LEASE)
    engine.commit(Batch(clears=((b"\x09", b"\x0a"),)))
    assert not member.is_lost
    member.renew()
    assert member.is_lost


def test_waiter_that_lost_its_lease_stands_at_the_end_again(
    clock: Clock, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Lines(engine, LEASE), Lines(engine, LEASE)
    holder, forgotten, last = one.join(b"door"), other.join(b"door"), one.join(b"door")
    assert isinstance(other._member, Member)
    other._member.lose()
    assert not forgotten.wait(0)
    assert not forgotten.is_lost
    holder.leave()
    assert last.wait(0)
    last.leave()
    assert forgotten.wait(PATIENCE)
    one.close()
    other.close()


def drawn(lines: Lines) -> int:
    place = lines.join(b"door")
    assert place.wait(0)
    place.leave()
    assert place.token is not None
    return place.token


def test_tokens_grow_though_the_row_of_the_last_one_is_lost(engine: MemoryEngine) -> None:
    """A server that takes over without the last commits may have an old row, or none."""
    with MovingClock() as clock:
        lines = Lines(engine, LEASE)
        first = drawn(lines)
        assert first == clock.now()
        last = drawn(lines)
        assert last > first
        for lost in (Batch(deletes=frozenset((TOKENS,))), Batch(puts={TOKENS: packed(first)})):
            clock.pass_by(0.001)
            engine.commit(lost)
            last, before = drawn(lines), last
            assert last > before
        lines.close()


def test_tokens_grow_by_one_where_the_clock_is_behind_the_last_one(engine: MemoryEngine) -> None:
    with MovingClock() as clock:
        lines = Lines(engine, LEASE)
        first = drawn(lines)
        clock.pass_by(-3600)
        assert [drawn(lines), drawn(lines)] == [first + 1, first + 2]
        clock.pass_by(7200)
        assert drawn(lines) == clock.now()
        lines.close()


class Lossy(MemoryEngine):
    """Loses the replies of some commits, which may have happened or not. Others cannot be sent."""

    def __init__(self, seed: int) -> None:
        super().__init__(OpenOptions())
        self.chance = random.Random(seed)
        self.is_lossy = True

    def _apply(self, batch: Batch) -> int | str:
        kind = self.chance.random() if self.is_lossy else 1.0
        if kind < 0.05:
            raise Unavailable("nothing was sent")
        if kind < 0.1:
            raise OutcomeUnknown("it was lost on its way")
        version = super()._apply(batch)
        if kind < 0.15:
            raise OutcomeUnknown("the reply was lost")
        return version


@pytest.mark.parametrize("seed", range(6))
def test_lost_replies_give_nobody_a_turn_twice(seed: int) -> None:
    engine = Lossy(seed)
    hosts = [Lines(engine, LEASE) for _ in range(3)]
    inside: list[object] = []
    tokens: list[int] = []
    refused = [0]

    def turn(lines: Lines) -> None:
        place: Any = None
        try:
            place = lines.join(b"door")
            if not place.wait(PATIENCE):
                assert place.member.is_lost
                return
        except (OutcomeUnknown, Unavailable):
            refused[0] += 1
            return
        finally:
            if place is not None and place.token is None:
                place.leave()
        inside.append(place)
        assert len(inside) == 1
        tokens.append(place.token)
        inside.remove(place)
        place.leave()

    def work(lines: Lines) -> None:
        for _ in range(15):
            turn(lines)

    for task in [Task(lambda lines=lines: work(lines)) for lines in hosts]:  # type: ignore[misc]
        task.finish()
    assert tokens == sorted(set(tokens))
    assert len(tokens) > 10
    assert len(tokens) + refused[0] == 45
    engine.is_lossy = False
    for lines in hosts:
        lines.close()
    assert list(engine.scan(b"\x09L", b"\x09M")) == []


def test_place_that_could_not_be_left_is_left_later() -> None:
    engine = Lossy(0)
    engine.is_lossy = False
    one, other = Lines(engine, 0.3), Lines(engine, 3600.0)
    holder, waiter = one.join(b"door"), other.join(b"door")
    another = one.join(b"window")  # so that the member lives on
    commit, engine._apply = engine._apply, _unreachable  # type: ignore[method-assign]
    holder.leave()
    engine._apply = commit  # type: ignore[method-assign]
    assert waiter.wait(PATIENCE)
    del another
    one.close()
    other.close()


def _unreachable(batch: Batch) -> int | str:
    raise Unavailable("nothing was sent")


def test_row_that_cannot_be_read_is_an_error(engine: MemoryEngine) -> None:
    lines = Lines(engine, LEASE)
    lines.join(b"door").leave()
    place = lines.join(b"door")
    ((key, _),) = list(engine.scan(b"\x09L", b"\x09M"))
    engine.commit(Batch(puts={key: b"\x80\x04N."}))
    with pytest.raises(CoshelfError, match="cannot be read"):
        lines.line(b"door")
    with pytest.raises(CoshelfError, match="cannot be read"):
        lines.join(b"door")
    assert list(lines.lines()) == []
    del place
    lines.close()
