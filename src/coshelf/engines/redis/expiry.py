"""Entries that expire: the server decides by its own clock, in the scripts. docs/design.md, "Expiry".

The time of an entry is in its record, and is the score of its key in a sorted set. The scripts use the set alone.
"""

from __future__ import annotations

from coshelf.contract import Batch
from coshelf.engines.redis.client import Client
from coshelf.engines.server_clock import ServerClock
from coshelf.engines.times import without_rows
from coshelf.keys import FIRST
from coshelf.values.expiry import EXPIRING, time_of

__all__ = ["given", "separated", "server_clock"]


def given() -> bytes:
    """The time that scripts are told, in microseconds since 1970; empty: the server's own. Tests replace this."""
    return b""


def server_clock(client: Client, slot: int) -> ServerClock:
    """The clock of the server that has a slot."""

    def ask() -> int:
        seconds, microseconds = client.read(slot, b"TIME")
        return int(seconds) * 1_000_000 + int(microseconds)

    return ServerClock(ask)


def separated(batch: Batch) -> tuple[Batch, dict[bytes, int]]:
    """The batch without rows of the index by time, and when the entries that it puts expire, for those that do."""
    if not (batch.deletes or batch.clears) and min(batch.puts, default=FIRST) >= FIRST:
        return batch, {}  # entries alone, as in most batches; without a row of the index none has a time
    bare = without_rows(batch)
    if len(bare.puts) == len(batch.puts):
        return bare, {}
    found = {key: time_of(body) for key, body in bare.puts.items() if body.startswith(EXPIRING)}
    return bare, {key: time for key, time in found.items() if time is not None}
