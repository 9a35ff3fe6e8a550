"""Every operation on what is closed is an error that says so."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit_support import ENTRIES, WRITES

import coshelf


def block(manager: Any) -> None:
    with manager:
        pass


def doubled(number: int) -> int:
    return 2 * number


USES: dict[str, Callable[[Any], Any]] = {
    **WRITES,
    "__getitem__": lambda shelf: shelf["a"],
    "__contains__": lambda shelf: "a" in shelf,
    "__bool__": bool,
    "__len__": len,
    "__iter__": list,
    "__reversed__": lambda shelf: list(reversed(shelf)),
    "__eq__": lambda shelf: shelf == {},
    "__ne__": lambda shelf: shelf != {},
    "__or__": lambda shelf: shelf | {},
    "__ror__": lambda shelf: {} | shelf,
    "__enter__": block,
    "__reduce__": pickle.dumps,
    "backup": lambda shelf: shelf.backup("nowhere"),
    "check": lambda shelf: shelf.check(),
    "compact": lambda shelf: shelf.compact(),
    "info": lambda shelf: shelf.info(),
    "train_dictionary": lambda shelf: shelf.train_dictionary(),
    "stats": lambda shelf: shelf.stats(),
    "preview": lambda shelf: shelf.preview("a"),
    "record": lambda shelf: shelf.record("a"),
    "records": lambda shelf: list(shelf.records()),
    "expires": lambda shelf: shelf.expires("a"),
    "tagged": lambda shelf: list(shelf.tagged("x")),
    "expire": lambda shelf: shelf.expire(),
    "engine_for": lambda shelf: shelf.engine_for("a tool"),
    "get": lambda shelf: shelf.get("a"),
    "get_many": lambda shelf: shelf.get_many(["a"]),
    "keys": lambda shelf: list(shelf.keys("a*")),
    "items": lambda shelf: list(shelf.items()),
    "values": lambda shelf: list(shelf.values(prefix="a")),
    "copy": lambda shelf: shelf.copy(),
    "cursor": lambda shelf: shelf.cursor().first(),
    "snapshot": lambda shelf: shelf.snapshot(),
    "sub": lambda shelf: shelf.sub("users").get("a"),
    "sync": lambda shelf: shelf.sync(),
    "wait": lambda shelf: shelf.wait("a", 0),
    "watch": lambda shelf: shelf.watch("a*", timeout=0),
    "lock": lambda shelf: shelf.lock("a"),
    "semaphore": lambda shelf: shelf.semaphore("a", 2),
    "barrier": lambda shelf: shelf.barrier("a", 2),
    "queue": lambda shelf: shelf.queue("a"),
    "deque": lambda shelf: shelf.deque("a"),
    "memoize": lambda shelf: shelf.memoize(doubled)(1),
}


HARMLESS = {
    *("capabilities", "close", "closed", "flag", "name", "protocol", "writeback"),
    *("__init__", "__repr__", "__exit__", "__hash__", "__class_getitem__", "__slots__", "__subclasshook__"),
}


OF_PYTHON = set(dir(object)) - {"__eq__", "__ne__", "__reduce__"}
OF_ZOPE = {"__implemented__", "__provides__", "__providedBy__"}
"""What zope.interface puts on classes that it has looked at, for a framework in this process."""


def public(kind: type) -> set[str]:
    own = {name for name in dir(kind) if not name.startswith("_") or name.startswith("__")}
    return {name for name in own - OF_PYTHON if callable(inspect.getattr_static(kind, name, None))}


def test_every_operation_is_known_to_the_test_of_closed_shelves() -> None:
    known = USES.keys() | HARMLESS | set(dir(type)) | {"__reduce_ex__"} | OF_ZOPE
    assert public(coshelf.Shelf) - known == set()
    assert USES.keys() - set(dir(coshelf.Shelf)) == set()


def refusal(use: Callable[[Any], Any], shelf: Any) -> Any:
    """The type of what is raised."""
    try:
        use(shelf)
    except Exception as error:
        return type(error)
    return None


@pytest.mark.parametrize("writeback", [False, True])
@pytest.mark.parametrize("kind", ["lmdb", "memory", "mapping"])
def test_every_operation_on_a_closed_shelf_is_a_value_error(kind: str, writeback: bool, path: Path) -> None:
    target: Any = {"lmdb": path, "memory": "memory:", "mapping": {}}[kind]
    shelf = coshelf.open(target, writeback=writeback)
    shelf["a"] = [1]
    users = shelf.sub("users")
    walk = iter(shelf.items())
    shelf.close()
    shelf.close()
    assert {name: refusal(use, shelf) for name, use in USES.items()} == dict.fromkeys(USES, coshelf.ShelfClosed)
    assert {name: refusal(use, users) for name, use in USES.items()} == dict.fromkeys(USES, coshelf.ShelfClosed)
    assert shelf.closed
    assert users.closed
    del walk


def test_every_operation_on_a_closed_read_only_shelf_says_that_it_is_closed(path: Path) -> None:
    coshelf.open(path).close()
    shelf = coshelf.open(path, "r")
    shelf.close()
    assert {name: refusal(use, shelf) for name, use in USES.items()} == dict.fromkeys(USES, coshelf.ShelfClosed)


def test_asking_a_closed_shelf_for_what_cannot_be_a_key_is_an_error(empty: Any) -> None:
    empty.close()
    for use in (lambda: frozenset() in empty, lambda: empty.get(frozenset()), lambda: empty.pop(frozenset(), 1)):
        with pytest.raises(coshelf.ShelfClosed):
            use()


@pytest.mark.parametrize("end", ["own", "of the shelf"])
def test_every_operation_on_a_closed_snapshot_is_a_value_error(end: str, path: Path) -> None:
    shelf = coshelf.open(path)
    shelf.update(ENTRIES)
    snapshot = shelf.snapshot()
    part, cursor, walk = snapshot.sub("a"), snapshot.cursor(), iter(snapshot.items())
    assert next(walk) == (None, "none")
    if end == "own":
        snapshot.close()
        snapshot.close()
    else:
        shelf.close()
    reads = [name for name in USES if name not in WRITES and hasattr(snapshot, name)]
    reads = [name for name in reads if name not in ("__reduce__", "__enter__", "wait", "sync", "snapshot")]
    assert len(reads) > 15
    for name in reads:
        for closed in (snapshot, part):
            with pytest.raises(ValueError, match="closed"):
                USES[name](closed)
    with pytest.raises(coshelf.ShelfClosed):
        cursor.next()
    with pytest.raises(coshelf.ShelfClosed):
        list(walk)
    shelf.close()


def test_iteration_under_way_ends_with_the_shelf(path: Path) -> None:
    shelf = coshelf.open(path)
    shelf.update({n: n for n in range(1000)})
    walk = iter(shelf.items())
    assert next(walk) == (0, 0)
    shelf.close()
    with pytest.raises(coshelf.ShelfClosed):
        list(walk)
