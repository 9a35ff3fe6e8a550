"""Snapshots, which do not change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coshelf.errors import ShelfClosed
from coshelf.testing.machine.base import ShelfRules, below
from coshelf.testing.machine.comparisons import check_equal, check_same, check_views
from coshelf.testing.machine.strategies import NAMES, conditions, keys

__all__ = ["SnapshotRules"]


class SnapshotRules(ShelfRules):
    @rule()
    @precondition(lambda self: len(self.snapshots) < self.most_snapshots and self.shelf.capabilities.snapshots)
    def take_snapshot(self) -> None:
        self.snapshots.append((self.shelf.snapshot(), self._instant()))

    @rule(data=st.data(), name=st.sampled_from(NAMES), conditions=conditions(), key=keys())
    @precondition(lambda self: self.snapshots)
    def look_at_snapshot(self, data: st.DataObject, name: str, conditions: dict[str, Any], key: Any) -> None:
        snapshot, model = data.draw(st.sampled_from(self.snapshots), label="snapshot")
        check_equal(snapshot, model)
        if name:
            snapshot, model = below(snapshot, name), model.sub(name)
            check_equal(snapshot, model)
        check_same(snapshot, model, lambda mapping: mapping[key])
        check_views(snapshot, model, conditions, key)
        assert snapshot.get_many([key]) == ({key: model[key]} if key in model else {})
        assert snapshot.copy() == dict(model)
        cursor = snapshot.cursor()
        assert cursor.last() == ((list(model)[-1], model[list(model)[-1]]) if model else None)

    @rule(at=st.integers(0, 2))
    @precondition(lambda self: self.snapshots)
    def release_snapshot(self, at: int) -> None:
        snapshot, _ = self.snapshots.pop(at % len(self.snapshots))
        snapshot.close()
        with pytest.raises(ShelfClosed):
            snapshot.get(1)
