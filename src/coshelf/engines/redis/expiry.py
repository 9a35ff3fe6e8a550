"""Entries that expire: the server decides by its own clock, in the scripts. docs/design.md, "Expiry".

The time of an entry is in its record, and is the score of its key in a sorted set. The scripts use the set alone.
"""

from __future__ import annotations

from dataclasses import replace

from coshelf.contract import Batch
from coshelf.engines.redis.client import Client
from coshelf.engines.server_clock import ServerClock
from coshelf.values.expiry import EXPIRING, INDEX, time_of

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
    puts, deletes, times = batch.puts, batch.deletes, {}
    if puts and min(puts) < INDEX[1]:  # there may be rows; where there are none, no entry has a time
        puts = {key: body for key, body in puts.items() if not _is_row(key)}
        found = {key: time_of(body) for key, body in puts.items() if body.startswith(EXPIRING)}
        times = {key: time for key, time in found.items() if time is not None}
    if deletes and min(deletes) < INDEX[1]:
        deletes = frozenset(key for key in deletes if not _is_row(key))
    clears = tuple(bounds for bounds in batch.clears if bounds != INDEX) if batch.clears else ()
    if puts is batch.puts and deletes is batch.deletes and clears == batch.clears:
        return batch, times
    return replace(batch, puts=puts, deletes=deletes, clears=clears), times


def _is_row(key: bytes) -> bool:
    return key[:1] == INDEX[0]
