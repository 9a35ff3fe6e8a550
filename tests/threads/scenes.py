"""What schedules are tried on: shelves of each kind, and whether an outcome is one of calls that came one by one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from scheduler import Run, Scene, raise_errors

import coshelf

__all__ = ["Shelf", "closes", "is_closed_at_most", "linearizable", "two"]

Shelf = coshelf.Shelf[Any, Any]
Act = Callable[[Shelf], Any]


def two(opened: Callable[[], Shelf], *acts: Act, before: Act = lambda _: None) -> Callable[[], Scene]:
    """A scene of one shelf, and threads that do something with it."""

    def make() -> Scene:
        shelf = opened()
        before(shelf)
        return shelf, [lambda act=act: act(shelf) for act in acts]

    return make


def closes(shelf: Shelf, made: Run) -> None:
    """No thread has raised anything, and the shelf can be closed."""
    try:
        raise_errors(made)
    finally:
        shelf.close()


def is_closed_at_most(shelf: Shelf, made: Run) -> None:
    """No thread has raised anything but that the shelf is closed."""
    shelf.close()
    for task in made.tasks:
        if task.error is not None and not isinstance(task.error, coshelf.ShelfClosed):
            raise AssertionError(f"thread {task.number} raised {task.error!r}") from task.error


def _outcome(act: Act, shelf: Shelf) -> object:
    try:
        return act(shelf)
    except KeyError as error:
        return type(error)


def _in_order(opened: Callable[[], Shelf], before: Act, acts: Sequence[Act], order: Sequence[int]) -> tuple[Any, ...]:
    with opened() as shelf:
        before(shelf)
        results = {number: _outcome(acts[number], shelf) for number in order}
        return tuple(results[number] for number in range(len(acts))), dict(shelf.items())


def linearizable(
    opened: Callable[[], Shelf], acts: Sequence[Act], *, before: Act
) -> tuple[Callable[[], Scene], Callable[[Shelf, Run], None]]:
    """A scene, and a check: results and entries are those of an order in which the calls could have come one by one.

    A call that had ended before another one began comes before it.
    """
    orders = list(itertools.permutations(range(len(acts))))
    allowed = {order: _in_order(opened, before, acts, order) for order in orders}

    def check(shelf: Shelf, made: Run) -> None:
        with shelf:
            raise_errors(made)
            tasks = made.tasks[: len(acts)]
            outcome = tuple(task.result for task in tasks), dict(shelf.items())
            possible = [
                allowed[order]
                for order in orders
                if all(tasks[b].ended > tasks[a].began for a, b in itertools.combinations(order, 2))
            ]
            assert outcome in possible, f"{outcome} is none of {possible}"

    return two(opened, *[lambda shelf, act=act: _outcome(act, shelf) for act in acts], before=before), check
