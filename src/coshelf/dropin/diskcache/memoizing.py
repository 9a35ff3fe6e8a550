"""Functions whose results are stored, and the keys of their calls."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Container, Mapping
from typing import Any, TypeVar

from coshelf.dropin.diskcache.names import ENOVAL

__all__ = ["args_to_key", "full_name", "memoizing"]

F = TypeVar("F", bound=Callable[..., Any])


def full_name(func: Callable[..., Any]) -> str:
    """The name of a function with its module.

    >>> full_name(full_name)
    'coshelf.dropin.diskcache.memoizing.full_name'
    """
    return f"{func.__module__}.{func.__qualname__}"


def args_to_key(
    base: tuple[Any, ...],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    typed: bool,
    ignore: Container[int | str],
) -> tuple[Any, ...]:
    """The key of a call.

    Args:
        base: what the key begins with.
        args: the positional arguments.
        kwargs: the arguments by name.
        typed: whether arguments of different types are different, even if they are equal.
        ignore: positions and names of arguments that do not matter.

    >>> args_to_key(("name",), (1, 2), {"b": 3}, False, {0})
    ('name', 2, None, 'b', 3)
    """
    positional = tuple(arg for index, arg in enumerate(args) if index not in ignore)
    named = sorted((name, value) for name, value in kwargs.items() if name not in ignore) if kwargs else []
    key = (*base, *positional, None)
    for item in named:
        key += item
    if typed:
        key += tuple(type(arg) for arg in positional)
        key += tuple(type(value) for _, value in named)
    return key


def memoizing(
    get: Callable[[Any], Any],
    store: Callable[[Any, Any], object] | None,
    base_of: Callable[[Callable[..., Any]], tuple[Any, ...]],
    typed: bool,
    ignore: Container[int | str],
) -> Callable[[F], F]:
    """A decorator that stores the results of a function. Of a coroutine function, what is awaited is stored.

    Args:
        get: gives the result under a key; ENOVAL if there is none.
        store: stores a result under a key; None: results are not stored.
        base_of: what the keys of a function begin with.
        typed: as for :func:`args_to_key`.
        ignore: the same.
    """

    def decorate(function: F) -> F:
        base = base_of(function)

        def key_of(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
            return args_to_key(base, args, kwargs, typed, ignore)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            key = key_of(*args, **kwargs)
            result = get(key)
            if result is ENOVAL:
                result = function(*args, **kwargs)
                if store is not None:
                    store(key, result)
            return result

        @functools.wraps(function)
        async def call_later(*args: Any, **kwargs: Any) -> Any:
            key = key_of(*args, **kwargs)
            result = get(key)
            if result is ENOVAL:
                result = await function(*args, **kwargs)
                if store is not None:
                    store(key, result)
            return result

        made: Any = call_later if inspect.iscoroutinefunction(function) else call
        made.__cache_key__ = key_of
        decorated: F = made
        return decorated

    return decorate
