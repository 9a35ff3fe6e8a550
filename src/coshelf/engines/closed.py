"""Replaces the engine of a shelf that has been closed: every use raises ``ShelfClosed``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn

from coshelf.contract import Batch, Engine, Entry, OpenOptions, Position, Snapshot
from coshelf.errors import ShelfClosed

__all__ = ["ClosedEngine", "closed_shelf"]


def closed_shelf(where: str) -> ShelfClosed:
    """The error for the use of a shelf that has been closed.

    >>> print(closed_shelf("recipes.shelf"))
    the shelf recipes.shelf has been closed
      hint: use it before close() and inside its `with` block, or open it again
    """
    return ShelfClosed(
        f"the shelf {where} has been closed\n"
        "  hint: use it before close() and inside its `with` block, or open it again"
    )


class ClosedEngine(Engine):
    """Has the name, the address and the capabilities of the engine; every other use is refused."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self.where = engine.where
        self.capabilities = engine.capabilities

    def _refuse(self) -> NoReturn:
        raise closed_shelf(self.where)

    def get(self, key: bytes) -> Entry | None:
        self._refuse()

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        self._refuse()

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        self._refuse()

    def count(self, start: bytes, stop: bytes) -> int:
        self._refuse()

    def snapshot(self) -> Snapshot:
        self._refuse()

    def instant(self) -> NoReturn:
        self._refuse()

    def commit(self, batch: Batch) -> int:
        self._refuse()

    def _apply(self, batch: Batch) -> int:
        self._refuse()

    def exclusive(self, timeout: float | None = None) -> NoReturn:
        self._refuse()

    def owns_exclusive(self) -> bool:
        self._refuse()

    def doorbell(self, key: bytes) -> NoReturn:
        self._refuse()

    def turns(self) -> NoReturn:
        self._refuse()

    def position(self) -> NoReturn:
        self._refuse()

    def changes(self, ranges: Sequence[tuple[bytes, bytes]], since: Position) -> NoReturn:
        self._refuse()

    def sync(self) -> None:
        self._refuse()

    def close(self) -> None:
        """Closing twice is fine."""

    def reopen_arguments(self) -> tuple[str, OpenOptions]:
        self._refuse()
