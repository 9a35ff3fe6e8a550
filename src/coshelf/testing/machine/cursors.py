"""Cursors that move over entries while these change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from coshelf.testing.machine.base import ShelfRules
from coshelf.testing.machine.model import order
from coshelf.testing.machine.strategies import keys

__all__ = ["CursorRules"]

MOVES = ["first", "last", "next", "previous"]


class CursorRules(ShelfRules):
    @rule(moves=st.lists(st.one_of(st.sampled_from(MOVES), keys().map(lambda key: [key])), min_size=1))
    def walk(self, moves: list[Any]) -> None:
        """Moves the cursor from the position where earlier steps left it."""
        if self.cursor is None:
            self.cursor = self.target.cursor()
            with pytest.raises(LookupError):
                _ = self.cursor.key
        for move in moves:
            expected = self._destination(move)
            found = self.cursor.seek(move[0]) if isinstance(move, list) else getattr(self.cursor, move)()
            if expected is None:
                assert found is None
            else:
                self.position = expected
                assert found == (expected[0], self.model[expected[0]])
            if self.position is not None:
                assert self.cursor.key == self.position[0]

    def _destination(self, move: Any) -> list[Any] | None:
        inside = list(self.model)
        if self.position is None:
            move = {"next": "first", "previous": "last"}.get(move, move) if isinstance(move, str) else move
        if isinstance(move, list):
            return [key for key in inside if order(key) >= order(move[0])][:1] or None
        if move == "first":
            return inside[:1] or None
        if move == "last":
            return inside[-1:] or None
        here = order(self.position[0])
        if move == "next":
            return [key for key in inside if order(key) > here][:1] or None
        return [key for key in inside if order(key) < here][-1:] or None
