"""Closing the shelf and opening it again with each flag."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coshelf.contract import Flag
from coshelf.errors import ReadOnlyShelf
from coshelf.testing.machine.base import ShelfRules
from coshelf.testing.machine.comparisons import check_equal
from coshelf.testing.machine.strategies import keys

__all__ = ["OpeningRules"]


class OpeningRules(ShelfRules):
    @rule(flag=st.sampled_from(["c", "w"]))
    @precondition(lambda self: self.block is None and self.shelf.capabilities.persistent)
    def open_again(self, flag: Flag) -> None:
        self._release_snapshots()
        self.cursor = self.position = None
        self.shelf = self.target = self.reopen(flag)

    @rule()
    @precondition(lambda self: self.block is None and self.shelf.capabilities.persistent)
    def open_emptied(self) -> None:
        self.open_again("n")
        self.model.clear()

    @rule(key=keys())
    @precondition(lambda self: self.block is None and self.shelf.capabilities.persistent)
    def open_for_reading(self, key: Any) -> None:
        self.open_again("r")
        check_equal(self.shelf, self.model)
        for write in (
            lambda: self.shelf.update({key: 1}),
            lambda: self.shelf.pop(key, None),
            self.shelf.clear,
            lambda: self.shelf.setdefault(key, 1),
            lambda: self.shelf.transact(lambda transaction: transaction.clear()),
        ):
            with pytest.raises(ReadOnlyShelf):
                write()
        self.open_again("c")

    @rule()
    @precondition(lambda self: self.block is None)
    def sync(self) -> None:
        self.shelf.sync()
