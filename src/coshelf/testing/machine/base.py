"""The base of all rules: the shelf under test, the model, and what is open on them."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant

import coshelf
from coshelf.contract import Flag
from coshelf.errors import ShelfClosed, Unsupported
from coshelf.testing.machine.comparisons import check_equal
from coshelf.testing.machine.model import Content, Model
from coshelf.testing.machine.strategies import limit_keys

__all__ = ["RollbackError", "ShelfRules", "below"]


class RollbackError(Exception):
    """Ends a transaction without committing it."""


class ShelfRules(RuleBasedStateMachine):
    """Holds the shelf and the model. The rules of each subject inherit from it.

    Attributes:
        shelf: the shelf under test.
        target: the shelf, or the transaction that is open on it.
        model: the expected content of the target.
        committed: the expected content of the shelf.
        snapshots: the open snapshots, each with its expected content.
        block: the context manager of the open transaction, or None.
        cursor: a cursor on the target, or None.
        position: a list of the key that is the cursor's position; None before the first move.
        most_snapshots: how many snapshots are held at the same time.
        longest_key: the limit of an encoded key in bytes, with the bytes of namespaces. None: there is no limit.
        few_keys: whether rules draw the same four keys again and again.
    """

    most_snapshots: ClassVar[int] = 3
    longest_key: ClassVar[int | None] = None
    few_keys: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        limit_keys(self.longest_key, few=self.few_keys)
        self.shelf = self.open_shelf()
        self.target: Any = self.shelf
        self.committed = Model(Content())
        self.model = self.committed
        self.snapshots: list[tuple[Any, Model]] = []
        self.block: Any = None
        self.cursor: Any = None
        self.position: Any = None

    def open_shelf(self, flag: Flag = "c") -> coshelf.Shelf[Any, Any]:
        """Open the shelf under test. It is empty at first, and each machine has its own."""
        raise NotImplementedError("a subclass of ShelfMachine overrides open_shelf()")

    def reopen(self, flag: Flag) -> coshelf.Shelf[Any, Any]:
        """Close the shelf and open it again with its entries. Called only if entries persist."""
        self.shelf.close()
        return self.open_shelf(flag)

    def teardown(self) -> None:
        if self.block is not None:
            self._end_transaction(commit=False)
        self._release_snapshots()
        self.shelf.close()
        with pytest.raises(ShelfClosed):
            len(self.shelf)

    def _release_snapshots(self) -> None:
        for snapshot, _ in self.snapshots:
            snapshot.close()
        self.snapshots.clear()

    def _end_transaction(self, commit: bool) -> None:
        block, transaction = self.block, self.target
        self.block, self.target = None, self.shelf
        self.cursor = self.position = None
        if commit and self._commits(block):
            self.committed = self.model
        elif commit:
            self.model = self.committed
        else:
            self.model = self.committed
            error = RollbackError()
            assert not block.__exit__(RollbackError, error, None)
        with pytest.raises(ShelfClosed):
            transaction.get(1)

    def _commits(self, block: Any) -> bool:
        """End a transaction. Return False if it was refused because it spans several entries."""
        try:
            block.__exit__(None, None, None)
        except Unsupported:
            assert self.shelf.capabilities.checks == "entry"
            return False
        return True

    def _both(self, name: str) -> tuple[Any, Model]:
        """The part of the target, and of the model, under a name. "" is everything."""
        return below(self.target, name), self.model.sub(name) if name else self.model

    def _instant(self) -> Model:
        """The expected content of a snapshot that is taken now."""
        return self.committed.frozen()

    @invariant()
    def target_is_as_the_model(self) -> None:
        check_equal(self.target, self.model)


def below(mapping: Any, name: str) -> Any:
    """The namespace of a name, by one ``sub`` for each of its parts."""
    for part in name.split("/") if name else ():
        mapping = mapping.sub(part)
    return mapping
