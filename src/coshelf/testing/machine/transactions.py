"""Transactions, committed and rolled back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coshelf.errors import BatchTooLarge, TransactionInProgress
from coshelf.testing.machine.base import RollbackError, ShelfRules
from coshelf.testing.machine.comparisons import check_equal
from coshelf.testing.machine.model import canonical
from coshelf.testing.machine.strategies import keys, values

__all__ = ["TransactionRules"]


class TransactionRules(ShelfRules):
    @rule()
    @precondition(lambda self: self.block is None)
    def begin_transaction(self) -> None:
        self.block = self.shelf.transaction()
        self.target = self.block.__enter__()
        self.model = self.committed.frozen()
        self.cursor = self.position = None

    @rule(commit=st.booleans())
    @precondition(lambda self: self.block is not None)
    def end_transaction(self, commit: bool) -> None:
        self._end_transaction(commit)

    @rule(key=keys())
    @precondition(lambda self: self.block is not None)
    def use_the_shelf_inside_its_transaction(self, key: Any) -> None:
        check_equal(self.shelf, self.model)
        with pytest.raises(RollbackError), self.shelf.transaction() as part:
            part[key] = 1
            self.shelf.clear()
            raise RollbackError
        check_equal(self.shelf, self.model)
        with pytest.raises(TransactionInProgress):
            self.shelf.close()

    @rule(pairs=st.lists(st.tuples(keys(), values()), max_size=4), fail=st.booleans())
    @precondition(lambda self: self.block is None)
    def transact(self, pairs: list[tuple[Any, Any]], fail: bool) -> None:
        def write(transaction: Any) -> int:
            for key, value in pairs:
                transaction[key] = value
            size = len(transaction)
            if fail:
                raise RollbackError
            return size

        if fail:
            with pytest.raises(RollbackError):
                self.shelf.transact(write)
            return
        if self.shelf.capabilities.checks == "entry" and len({canonical(key) for key, _ in pairs}) > 1:
            with pytest.raises(BatchTooLarge):
                self.shelf.transact(write)
            return
        self.model.update(pairs)
        assert self.shelf.transact(write) == len(self.model)
