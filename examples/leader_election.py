"""A worker that leads while it has a turn. Start several: one leads, and when it ends or is killed, the next one does.

    python examples/leader_election.py jobs.shelf &
    python examples/leader_election.py jobs.shelf &

The shelf can also be on a server, for workers of several machines: postgresql://, redis://. There a leader that was
stopped for longer than a lease may go on for a moment after another one has begun. So the work itself checks the token:
whoever has seen a greater one refuses the work of an earlier leader.
"""

from __future__ import annotations

import os
import sys
import time

import coshelf


class Superseded(Exception):
    """A later leader has written already."""


def note(shelf: coshelf.Shelf[str, object], token: int, text: str) -> None:
    """Write what the leader did, unless a later leader has written."""

    def write(transaction: coshelf.Transaction[str, object]) -> None:
        last = transaction.get("token", 0)
        if not isinstance(last, int) or token < last:
            raise Superseded(f"leader {token} has been superseded by leader {last}")
        transaction.update({"token": token, "leader": os.getpid(), "report": text})

    shelf.transact(write)


def lead(shelf: coshelf.Shelf[str, object], rounds: int, pause: float) -> None:
    """Wait to become the leader, and do some rounds of work."""
    work = shelf.sub("work")
    with shelf.lock("leader") as turn:
        print(f"{os.getpid()} leads with token {turn.token}", flush=True)
        for number in range(1, rounds + 1):
            if turn.lost:
                break
            note(work, turn.token, f"round {number}")
            time.sleep(pause)
    print(f"{os.getpid()} has done its work", flush=True)


def main(target: str, rounds: int = 50, pause: float = 0.2) -> int:
    with coshelf.open(target) as shelf:
        try:
            lead(shelf, rounds, pause)
        except (coshelf.TurnLost, Superseded) as error:
            print(f"{os.getpid()} leads no more: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: leader_election.py SHELF [ROUNDS [PAUSE]]")
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:3]), *map(float, sys.argv[3:4])))
