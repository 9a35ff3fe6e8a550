"""What becomes of turns by leases when processes and machines fail. Told on each engine that has leases."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

from lease_engines import opened
from lock_talk import wait_until
from support import Crew, Worker

from coshelf.contract import Place
from coshelf.testing.contract.task import PATIENCE

__all__ = ["LONG", "SHORT", "LeaseStories", "patient"]

MEMBER = Path(__file__).parent / "scripts" / "lease_member.py"
LONG = 3600.0
SHORT = 4.0


def patient(engine: Any) -> Place:
    """A place with a long lease, which waits for one short lease of others: this process may be slow, too."""
    lines = engine.turns()
    place: Place = lines.join(b"door")
    lines.lease = SHORT
    return place


class LeaseStories:
    """A subclass has the fixture ``lease_url``, of a shelf that processes share."""

    def start(self, crew: Crew, url: str, lease: float, machine: str) -> Worker:
        worker = crew.start(MEMBER, url, lease, machine)
        worker.expect("joined")
        return worker

    def test_death_on_this_machine_is_seen_at_once(self, crew: Crew, lease_url: str) -> None:
        holder = self.start(crew, lease_url, LONG, "same")
        with contextlib.closing(opened(lease_url, LONG)) as engine:
            waiter, last = self.start(crew, lease_url, LONG, "same"), engine.turns().join(b"door")
            assert not last.wait(0)
            waiter.kill()
            holder.kill()
            assert last.wait(PATIENCE)

    def test_death_on_another_machine_ends_with_the_lease(self, crew: Crew, lease_url: str) -> None:
        holder = self.start(crew, lease_url, SHORT, "other")
        holder.tell("wait")
        token = int(holder.hear())
        waiter = self.start(crew, lease_url, SHORT, "other")
        with contextlib.closing(opened(lease_url, LONG)) as engine:
            last = patient(engine)
            waiter.kill()
            holder.kill()
            assert last.wait(PATIENCE)
            assert last.token is not None
            assert last.token > token

    def test_holder_that_was_stopped_for_too_long_learns_it(self, crew: Crew, lease_url: str) -> None:
        holder = self.start(crew, lease_url, SHORT, "other")
        holder.tell("wait")
        token = int(holder.hear())
        with contextlib.closing(opened(lease_url, LONG)) as engine:
            last = patient(engine)
            os.kill(holder.pid, signal.SIGSTOP)
            try:
                assert last.wait(PATIENCE)
            finally:
                os.kill(holder.pid, signal.SIGCONT)
            assert last.token is not None
            assert last.token > token
            holder.tell("lost?")
            holder.expect("True")
            holder.tell("leave")
            holder.expect("left")
            assert token not in [who.token for who in engine.turns().line(b"door").holders]

    def test_clocks_that_are_wrong_do_no_harm(self, crew: Crew, lease_url: str) -> None:
        tokens = []
        for wrong in (-1e8, 1e8, 0):
            holder = self.start(crew, lease_url, LONG, str(wrong))
            holder.tell("wait")
            tokens.append(int(holder.hear()))
            with contextlib.closing(opened(lease_url, LONG)) as engine:
                waiter = engine.turns().join(b"door")
                assert not waiter.wait(0.3)
                holder.tell("leave")
                holder.expect("left")
                assert waiter.wait(PATIENCE)
                tokens.append(waiter.token or 0)
            holder.tell("end")
            holder.finish()
        assert tokens == sorted(set(tokens))

    def test_rows_of_the_dead_are_removed(self, crew: Crew, lease_url: str) -> None:
        workers = [self.start(crew, lease_url, LONG, "same") for _ in range(2)]
        for worker in workers:
            worker.kill()
        with contextlib.closing(opened(lease_url, LONG)) as engine:
            engine.turns().join(b"another").leave()
            assert list(engine.turns().lines()) == []
            assert list(engine.scan(b"\x09L", b"\x09M", keys_only=True)) == []
        with contextlib.closing(opened(lease_url, LONG)) as engine:
            assert list(engine.scan(b"\x09L", b"\x09N", keys_only=True)) == []

    def test_rows_of_the_dead_of_other_machines_are_removed_after_a_lease(self, crew: Crew, lease_url: str) -> None:
        self.start(crew, lease_url, SHORT, "other").kill()
        with contextlib.closing(opened(lease_url, SHORT)) as engine:
            place = engine.turns().join(b"another")
            wait_until(lambda: len(list(engine.scan(b"\x09L", b"\x09N", keys_only=True))) == 2)
            place.leave()
