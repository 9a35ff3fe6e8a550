"""Where the table of turns of a shelf lies, which differs between engines."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from coshelf.contract import Engine

__all__ = ["TableHome"]


class TableHome(ABC):
    """The place of a table.

    Args:
        engine: the shelf.
        path: of the table.
        timeout: seconds to wait for another process that makes the table.
        refuse_use: raises if this handle may not use turns.
    """

    def __init__(self, engine: Engine, path: str, timeout: float, refuse_use: Callable[[], object]) -> None:
        self.engine = engine
        self.where = engine.where
        self.path = path
        self.timeout = timeout
        self.refuse_use = refuse_use

    @abstractmethod
    def like(self) -> os.stat_result:
        """The status of what the shelf lies in. The table gets its owner and mode."""

    @abstractmethod
    def refuse_exposed(self, descriptor: int) -> None:
        """Raise if a user who may not write the shelf could have written the open file at the path."""

    @abstractmethod
    def next_block(self) -> int:
        """The number of the next block of tokens. It is durable that it was given, so it is never given again."""

    def kept_open(self) -> AbstractContextManager[None]:
        """For a block that opens the table: no thread of this process closes the shelf, and a forked child has it open.

        If the directory of the table is missing, it is made first.
        """
        return nullcontext()

    def exists(self) -> bool:
        """Whether there is a table."""
        return os.path.lexists(self.path)
