"""What a handle of the lmdb engine gives to those that wait: a bell, lines of turns, and readers of changes."""

from __future__ import annotations

from collections.abc import Sequence

from coshelf.contract import Doorbell, OpenOptions, Position
from coshelf.engines.lmdb.environment import Environment
from coshelf.engines.lmdb.lookups import Lookups
from coshelf.engines.lmdb.turn_table import LmdbTableHome
from coshelf.engines.lmdb.watching.positions import place_of
from coshelf.engines.lmdb.watching.reader import LmdbChanges, position_now
from coshelf.engines.turn_table.table import TableTurns
from coshelf.system.threads.alone import alone
from coshelf.system.threads.living import Living

__all__ = ["Waiting"]


class Waiting(Lookups):
    """The part of :class:`LmdbEngine` for those that wait."""

    _options: OpenOptions

    def __init__(self, environment: Environment, *, puts: bool, waits_for_disk: bool) -> None:
        super().__init__(environment, puts=puts, waits_for_disk=waits_for_disk)
        self._closed = False
        self._turns: TableTurns | None = None
        self._readers: Living[LmdbChanges] = Living()

    def doorbell(self, key: bytes) -> Doorbell:
        with self._environment.inside():
            return self._environment.bell()

    def turns(self) -> TableTurns:
        if self._turns is None:
            made = TableTurns(LmdbTableHome(self, self._environment, self._options.timeout, self._refuse_writes))
            if self._closed:
                made.close()
            with alone():
                self._turns = self._turns or made
        return self._turns

    def position(self) -> int:
        with self._environment.inside():
            return position_now(self._environment)

    def may_be_later(self, version: int | str, since: Position) -> bool:
        now, then = place_of(self.position()), place_of(since)
        return now.era != then.era or not isinstance(version, int) or version > then.number

    def changes(self, ranges: Sequence[tuple[bytes, bytes]], since: Position) -> LmdbChanges:
        reader = LmdbChanges(self._environment, ranges, since, lambda: self._closed)
        self._readers.add(reader)
        return reader

    def _end_waiting(self) -> None:
        """Wake all that wait through this handle, which is being closed, and leave all lines."""
        if self._turns is not None:
            self._turns.close()
        for reader in list(self._readers):
            reader.close()
        self._environment.wake()
