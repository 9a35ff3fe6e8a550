"""Shared by several test modules: entries, all ways to write, a second shelf beside one with writeback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import coshelf
from coshelf.keys import encode

SOURCE = str(Path(coshelf.__file__).parents[1])

# In key order.
ENTRIES: dict[Any, Any] = {
    key: value
    for entries in (
        {None: "none", -5: "negative", 0: "zero", 2.5: "float", 10: "ten"},
        {"": "empty", "a": "A", "a/1": [1], "a/2": [2], "b": {"x": 1}, "é": "accent"},
        {b"": "no bytes", b"raw": "bytes", (): "empty tuple", (1, "x"): "pair", ("a", None): "mixed"},
    )
    for key, value in entries.items()  # type: ignore[attr-defined]
}


def nested_edit(shelf: Any) -> None:
    with shelf.edit("b"):
        raise AssertionError("the block must not run")


def nested_transaction(shelf: Any) -> None:
    with shelf.transaction():
        raise AssertionError("the block must not run")


WRITES: dict[str, Callable[[Any], Any]] = {
    "__setitem__": lambda shelf: shelf.__setitem__("a", 1),
    "__delitem__": lambda shelf: shelf.__delitem__("a"),
    "__ior__": lambda shelf: shelf.__ior__({"a": 1}),
    "pop": lambda shelf: shelf.pop("a"),
    "popitem": lambda shelf: shelf.popitem(last=True),
    "setdefault": lambda shelf: shelf.setdefault("new", 1),
    "update": lambda shelf: shelf.update(a=1),
    "set": lambda shelf: shelf.set("a", 1, expire=60),
    "add": lambda shelf: shelf.add("new", 1),
    "incr": lambda shelf: shelf.incr("new"),
    "touch": lambda shelf: shelf.touch("a", expire=60),
    "delete_tagged": lambda shelf: shelf.delete_tagged("x"),
    "clear": lambda shelf: shelf.clear(),
    "edit": nested_edit,
    "modify": lambda shelf: shelf.modify("b", lambda old: old),
    "replace": lambda shelf: shelf.replace("a", "A", 1),
    "transaction": nested_transaction,
    "transact": lambda shelf: shelf.transact(lambda t: t.update(a=1)),
}


class Pair:
    """A shelf with writeback, and a second shelf on the same entries."""

    def __init__(self, mine: Any, theirs: Any) -> None:
        self.mine = mine
        self.theirs = theirs

    def version(self, key: Any) -> Any:
        """The number of the commit that wrote the entry."""
        entry = self.mine._handle.engine.get(encode(key))
        return None if entry is None else entry.version
