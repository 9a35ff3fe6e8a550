"""The operators of a dict that a shelf for tasks does not have. They say what to await instead.

Type checkers do not see them, so that they report such uses themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

__all__ = ["NoDict", "NoView", "Unawaited"]


class NoDict:
    """A shelf, transaction or snapshot. Without these methods, ``for`` and ``in`` would call ``[]`` without an end."""

    if not TYPE_CHECKING:

        def __setitem__(self, key: object, value: object) -> NoReturn:
            raise TypeError("a shelf for tasks has no assignment\n  hint: `await shelf.set(key, value)`")

        def __delitem__(self, key: object) -> NoReturn:
            raise TypeError("a shelf for tasks has no `del`\n  hint: `await shelf.delete(key)`")

        def __contains__(self, key: object) -> NoReturn:
            raise TypeError("a shelf for tasks has no `in`\n  hint: `await shelf.contains(key)`")

        def __iter__(self) -> NoReturn:
            raise TypeError("a shelf for tasks is not iterated by `for`\n  hint: `async for key in shelf.keys():`")

        def __len__(self) -> NoReturn:
            raise TypeError("a shelf for tasks has no len()\n  hint: `await shelf.len()`")

        def __bool__(self) -> bool:
            return True  # else truth would ask for the length


class NoView:
    """A view of keys, values or items."""

    if not TYPE_CHECKING:

        def __iter__(self) -> NoReturn:
            raise TypeError(
                "a view of a shelf for tasks is not iterated by `for`\n"
                "  hint: `async for key in shelf.keys():`, or `await shelf.keys().list()`"
            )


class Unawaited:
    """What is entered by ``async with``, or awaited."""

    if not TYPE_CHECKING:

        def __enter__(self) -> NoReturn:
            raise TypeError("a shelf for tasks and its blocks are entered by `async with`, not by `with`")

        def __exit__(self, *error: object) -> None: ...

        def __getattr__(self, name: str) -> NoReturn:
            if name[:1] == "_":
                raise AttributeError(name)
            raise AttributeError(
                f"{name!r} was asked of what is not open yet\n"
                "  hint: enter it by `async with ... as shelf:`, or await it: `shelf = await coshelf.aio.open(...)`"
            )
