"""Both faces have the same names and arguments. The table lists what differs, and nothing else may."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest

import coshelf
import coshelf.aio
from coshelf import aio
from coshelf.coordination.barriers import Barrier
from coshelf.coordination.deques import Deque
from coshelf.coordination.in_line import InLine
from coshelf.coordination.locks import Lock, Semaphore
from coshelf.coordination.queues import Queue
from coshelf.coordination.turn import Turn
from coshelf.mapping.reading import ShelfKeys
from coshelf.mapping.watch import Watch

FACES: list[tuple[type, type]] = [
    (coshelf.Shelf, aio.AsyncShelf),
    (coshelf.Transaction, aio.AsyncTransaction),
    (coshelf.Snapshot, aio.AsyncSnapshot),
    (coshelf.Cursor, aio.AsyncCursor),
    (ShelfKeys, aio.AsyncView),
    (Queue, aio.AsyncQueue),
    (Deque, aio.AsyncDeque),
    (Lock, aio.AsyncLock),
    (Semaphore, aio.AsyncSemaphore),
    (Barrier, aio.AsyncBarrier),
    (Turn, aio.AsyncTurn),
    (Watch, aio.AsyncWatch),
]

# What is an operator or a function on the synchronous face.
OPERATORS = {"len": "__len__", "contains": "__contains__", "delete": "__delitem__", "reversed": "__reversed__"}

# What locks, semaphores and barriers have for the modules of their package.
IN_LINE = {name for name in dir(InLine) if not name.startswith("_")} - {"holders", "waiting"}

ONLY_SYNCHRONOUS = {
    "Shelf": {"engine_for"},  # for tools that use records as bytes
    "ShelfKeys": {"isdisjoint"},
    "Queue": {"ground", "items", "rows", "return_delivery", "taken", "tell_done", "tell_put"},  # parts of the package
    "Lock": {"ask", "permits"} | IN_LINE,
    "Semaphore": {"ask"} | IN_LINE,
    "Barrier": {"ask"} | IN_LINE,
    "Turn": {"give_back", "loss", "place"},
}
ONLY_FOR_TASKS = {
    "AsyncView": {"list"},
    "AsyncDeque": {"set"},  # of an item by its index
}
# Signatures that differ: MISSING as a default that the synchronous face has under another name, and the like.
OTHER_ARGUMENTS = {"AsyncShelf.version", "AsyncBarrier.n_waiting", "AsyncDeque.index", "AsyncView.len"}


def public(face: type) -> set[str]:
    return {name for name in dir(face) if not name.startswith("_") and name != "register"}


@pytest.mark.parametrize(("plain", "tasks"), FACES, ids=lambda face: face.__name__)
def test_both_faces_have_the_same_names(plain: type, tasks: type) -> None:
    wanted = public(plain) - ONLY_SYNCHRONOUS.get(plain.__name__, set())
    given = public(tasks) - ONLY_FOR_TASKS.get(tasks.__name__, set())
    attributes = {"name"} if plain in (Queue, Deque) else set()
    attributes |= {"maxsize"} if plain is Queue else set()
    assert wanted - given - attributes == set()
    assert {name for name in given - wanted - attributes if not hasattr(plain, OPERATORS.get(name, ""))} == set()


@pytest.mark.parametrize(("plain", "tasks"), FACES, ids=lambda face: face.__name__)
def test_methods_have_the_same_arguments(plain: type, tasks: type) -> None:
    for name in sorted(public(plain) & public(tasks)):
        if f"{tasks.__name__}.{name}" in OTHER_ARGUMENTS:
            continue
        of_plain, of_tasks = inspect.getattr_static(plain, name), inspect.getattr_static(tasks, name)
        if isinstance(of_plain, property) or not callable(of_plain):
            assert isinstance(of_tasks, property), name
            continue
        assert arguments(of_tasks) == arguments(of_plain), name


def arguments(function: Any) -> list[tuple[str, Any, str]]:
    """Name, kind and default of each argument."""
    parameters = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, repr(each.default)) for each in parameters]


def test_open_has_the_arguments_of_the_other_open() -> None:
    assert arguments(aio.open) == arguments(coshelf.open)


WAITING_NOT = {
    "cursor", "edit", "items", "keys", "lock", "barrier", "memoize", "queue", "deque", "records", "semaphore",
    "snapshot", "sub", "tagged", "transaction", "values", "watch", "take", "reversed",
}  # fmt: skip


@pytest.mark.parametrize("tasks", [tasks for _, tasks in FACES], ids=lambda face: face.__name__)
def test_a_method_is_awaited_unless_it_gives_something_to_iterate_or_enter(tasks: type) -> None:
    for name in public(tasks):
        method = inspect.getattr_static(tasks, name)
        if inspect.isfunction(method):
            assert inspect.iscoroutinefunction(method) != (name in WAITING_NOT), name


def test_no_method_of_the_shell_says_anew_what_a_call_means() -> None:
    """The shell encodes and commits nothing. The twin that refuses to wait passes such calls on, in one module."""
    folder = Path(aio.__file__).parent
    for path in folder.glob("*.py"):
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        if path.name != "at_once.py":
            assert not names & {"dump", "overlay", "commit", "quick_store"}, path.name
