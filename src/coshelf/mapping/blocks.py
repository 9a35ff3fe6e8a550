"""What a block of ``with`` is entered by: ``edit`` and ``transaction``. Without ``with`` it says how it is used."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, _GeneratorContextManager
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar, cast

__all__ = ["block"]

P = ParamSpec("P")
T = TypeVar("T")

_USES = {"edit": "with shelf.edit(key) as value:", "_transaction": "with shelf.transaction() as t:"}


def block(function: Callable[P, Iterator[T]]) -> Callable[P, AbstractContextManager[T]]:
    """As ``contextlib.contextmanager``. Whoever uses the result as the value of the block is told of ``with``.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> shelf["log"] = []
    >>> shelf.edit("log").append("started")
    Traceback (most recent call last):
    AttributeError: edit() gives its value to a block, and nothing was changed
      hint: `with shelf.edit(key) as value:`
    """

    @functools.wraps(function)
    def made(*args: P.args, **kwargs: P.kwargs) -> AbstractContextManager[T]:
        return _Block(cast("Callable[P, Generator[T, None, None]]", function), args, kwargs)

    return made


class _Block(_GeneratorContextManager[T]):
    func: Callable[..., Any]

    # Type checkers know only a context manager, and report these uses themselves.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            self._refuse(AttributeError)

        def __getitem__(self, key: object) -> NoReturn:
            self._refuse(TypeError)

        def __setitem__(self, key: object, value: object) -> NoReturn:
            self._refuse(TypeError)

        def __delitem__(self, key: object) -> NoReturn:
            self._refuse(TypeError)

    def _refuse(self, kind: type[Exception]) -> NoReturn:
        name = self.func.__name__
        raise kind(f"{name.strip('_')}() gives its value to a block, and nothing was changed\n  hint: `{_USES[name]}`")
