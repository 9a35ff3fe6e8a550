"""Watches: what they tell leads from the content that they were begun with to that of the shelf."""

from __future__ import annotations

import time
from typing import Any

from hypothesis.stateful import precondition, rule

import coshelf
from coshelf.contract import Position
from coshelf.testing.contract.task import PATIENCE
from coshelf.testing.machine.base import ShelfRules, below
from coshelf.testing.machine.model import Model

__all__ = ["WatchRules"]

_NAMES = ("", "a")


class _Follower:
    """The content of a part of the shelf, by the changes of a watch alone."""

    def __init__(self, name: str, shelf: coshelf.Shelf[Any, Any]) -> None:
        self.name = name
        self.content: dict[Any, Any] = {}
        self._shelf = shelf
        self._watch: coshelf.Watch[Any, Any] = below(shelf, name).watch()
        self._version: Position = self._watch.version

    def follow(self, shelf: coshelf.Shelf[Any, Any], timeout: float) -> None:
        """Take what is told. After the shelf was opened again, go on where the last change was told."""
        if shelf is not self._shelf:
            self._shelf = shelf
            self._watch = below(shelf, self.name).watch(since=self._version)
        while (change := self._watch.next(timeout)) is not None:
            self._take(change)
            self._version = change.version

    def _take(self, change: coshelf.Change[Any, Any]) -> None:
        if change.kind == "gap":
            self.content = dict(below(self._shelf, self.name))
        elif change.kind == "set":
            try:
                self.content[change.key] = change.value
            except KeyError:  # the engine has the latest state alone: a deletion follows
                self.content.pop(change.key, None)
        else:
            self.content.pop(change.key, None)

    def has_arrived(self, model: Model) -> bool:
        """Whether it has the content of the model. What has expired may have been removed, or not yet."""
        expected = dict(model)
        rest = {key: value for key, value in self.content.items() if key not in expected}
        gone = model.gone()
        return expected == {key: value for key, value in self.content.items() if key in expected} and all(
            key in gone and gone[key] == value for key, value in rest.items()
        )


class WatchRules(ShelfRules):
    def __init__(self) -> None:
        super().__init__()
        self.followers: list[_Follower] = []
        if self.shelf.capabilities.changes:
            self.followers = [_Follower(name, self.shelf) for name in _NAMES]

    @rule()
    @precondition(lambda self: self.block is None and self.followers)
    def follow(self) -> None:
        end = time.monotonic() + PATIENCE
        for follower in self.followers:
            model = self.committed.sub(follower.name) if follower.name else self.committed
            follower.follow(self.shelf, 0)
            while not follower.has_arrived(model):
                assert time.monotonic() < end, f"{follower.content} by the changes, instead of {dict(model)}"
                follower.follow(self.shelf, 0.05)
